"""The training half's commands, registered under the entry-point group `focalpoint.commands`.

Importing this module is cheap: torch is imported only inside the commands.
"""
