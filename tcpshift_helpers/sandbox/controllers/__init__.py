"""Controllers: each makes what is true follow what was asked for, through the API server alone.

One file a controller; the small modules beside them (`workqueue`, `ownership`, `pod_conditions`, `selectors`,
`timestamps`, `rollout`) are what they share. They start no processes: that is the node's.
"""
