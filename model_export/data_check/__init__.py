"""What can be wrong with annotated pictures, one check a function; `focalpoint check-data` runs them all."""
