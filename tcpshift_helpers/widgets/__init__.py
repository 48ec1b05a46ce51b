"""What a notebook offers to click: weights, live traffic, questions to predict, progress through the course.

Widgets call the helpers and decide nothing: counts and verdicts are distribution.py's, probes netcat.py's, checks course.py's.
Where nothing can be clicked (a web page, an export, a test run) each is a text, and the live view a picture as well.
"""

from tcpshift_helpers.widgets.course_progress import CourseProgress, progress
from tcpshift_helpers.widgets.live_view import LiveView, live
from tcpshift_helpers.widgets.prediction import Prediction, predict
from tcpshift_helpers.widgets.weight_panel import WeightPanel, weights

__all__ = ["CourseProgress", "LiveView", "Prediction", "WeightPanel", "live", "predict", "progress", "weights"]
