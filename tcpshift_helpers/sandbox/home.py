"""The state directory: the one place where its file names are written down.

It makes directories private to their owner; it does not write the files themselves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CONTEXT_NAME = "tcpshift-sandbox"


@dataclass(frozen=True)
class Home:
    """Paths inside one state directory.

    Attributes:
        root: the directory itself; `TCPSHIFT_HOME`, or the platform's place for user data.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """The state directory that `TCPSHIFT_HOME` names, else the platform's default."""
        if named := os.environ.get("TCPSHIFT_HOME"):
            return cls(Path(named).expanduser().absolute())
        from platformdirs import user_data_path  # noqa: PLC0415 (4 MB that the sandbox's own processes need not carry)

        return cls(user_data_path("tcpshift", appauthor=False))

    def create(self) -> None:
        """Make the directory and its fixed folders, readable by their owner alone.

        Raises:
            OSError: the directory cannot be made or is not writable.
        """
        for folder in (self.root, self.pki, self.cache, self.logs, self.pods):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)

    @property
    def kubeconfig(self) -> Path:
        """Credentials and address of the API server, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates, keys and the token."""
        return self.root / "pki"

    @property
    def token(self) -> Path:
        """The bearer token, as text."""
        return self.pki / "token"

    @property
    def network(self) -> Path:
        """JSON with the sandbox's loopback /24."""
        return self.root / "network.json"

    @property
    def database(self) -> Path:
        """SQLite database of all objects."""
        return self.root / "state.db"

    @property
    def cache(self) -> Path:
        """What can be derived again at any time."""
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        """One log file for each part."""
        return self.root / "logs"

    @property
    def pods(self) -> Path:
        """One directory for each pod, named by its uid."""
        return self.root / "pods"

    @property
    def programs(self) -> Path:
        """What every container finds first on its PATH."""
        return self.root / "programs"

    @property
    def hosts(self) -> Path:
        """One hosts file for each namespace: the names its containers resolve."""
        return self.root / "hosts"

    def hosts_of(self, namespace: str) -> Path:
        """The hosts file of a namespace."""
        return self.hosts / namespace

    @property
    def supervisor_lock(self) -> Path:
        """Held while a supervisor lives."""
        return self.root / "supervisor.lock"

    @property
    def supervisor_state(self) -> Path:
        """JSON: the supervisor's pid and the state of its parts."""
        return self.root / "supervisor.json"

    def pod(self, uid: str) -> Path:
        """The directory of one pod."""
        return self.pods / uid

    def xds(self, uid: str) -> Path:
        """Where istiod writes the configuration of this pod's Envoy, and Envoy watches."""
        return self.pods / uid / "xds"

    def admin_socket(self, uid: str) -> Path:
        """Where this pod's Envoy is asked about itself and told what to do: the owner's alone, mode 0600."""
        return self.pods / uid / "admin.sock"
