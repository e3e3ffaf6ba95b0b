"""What a person can put right: each message is one sentence that names the file or key, what was expected and found."""


class TrainingInputError(Exception):
    """A recipe, a data file or a run folder that cannot be used."""


class RecipeError(TrainingInputError):
    """A recipe with an unknown, missing or impossible value."""


class DataError(TrainingInputError):
    """An annotation file or a picture that does not hold what it should."""


class RunError(TrainingInputError):
    """A run folder or checkpoint that cannot be resumed, evaluated or exported."""


class WeightsError(TrainingInputError):
    """A file of weights that cannot be read or does not fit the network."""
