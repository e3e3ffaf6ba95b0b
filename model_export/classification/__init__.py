"""AFL on image classification (the paper's Table 4), on scikit-learn's digits."""
