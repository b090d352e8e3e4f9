"""Arguments that make any detector of the zoo cheap to run."""

CHEAP = {
    "min_size": 64,
    "max_size": 96,
    "rpn_pre_nms_top_n_test": 20,
    "rpn_post_nms_top_n_test": 10,
    "box_score_thresh": 0.0,
    "score_thresh": 0.0,
    "box_detections_per_img": 5,
    "detections_per_img": 20,
}
"""Few pixels and few proposals; score thresholds of zero, so that random weights detect something."""
