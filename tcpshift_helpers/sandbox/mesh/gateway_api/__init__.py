"""The Gateway API in the mesh: translated to Istio's own objects, so that everything below is shared.

`translation` is the way in. Everything but `controller` is pure.
"""
