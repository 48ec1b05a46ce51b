"""What makes Services answer inside the cluster: the service proxy, and the names of Services."""
