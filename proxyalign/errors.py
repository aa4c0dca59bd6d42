"""The one exception that a caller's mistake raises, so that a program can tell it from a defect of ours."""


class InputError(ValueError):
    """An argument, a file or a setting that cannot be used.

    Its message is one sentence: who refuses, which argument, what is allowed, what was given, and the remedy. The
    command line prints it alone and exits with code 2; any other exception is a defect and keeps its traceback.
    """
