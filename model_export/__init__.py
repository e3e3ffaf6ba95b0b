"""Training, evaluation and export of keypoint networks."""
