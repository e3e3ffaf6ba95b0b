"""`focalpoint predict`: keypoints of pictures, folders and videos, written as tables, results or drawings."""
