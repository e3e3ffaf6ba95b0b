"""What training and serving must agree on: the crop, the keypoint codec and the bundle manifest."""
