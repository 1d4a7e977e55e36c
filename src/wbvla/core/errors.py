"""The one tree of errors; every message names what was asked, what exists, and what to do.

WbvlaError
├── ConfigError          a configuration value is missing or impossible
├── UnknownName          a registry does not hold this name
├── ContractMismatch     an artefact does not fit the robot, dataset or peer it meets
├── ArtefactError        an artefact's files are missing, damaged or of another version
├── DataError            a dataset is missing, damaged or of another version
├── CameraError          a camera is missing, was unplugged, or delivers something else than was asked
├── RobotError           a body, its model or its description cannot be used
├── RenderError          no working OpenGL was found
├── TrainingDiverged     a loss or gradient is not finite; training stopped
├── LinkError            the peer refused, answered wrongly or cannot be reached
└── SafetyTrip           the safety layer stopped the robot; latched until a person restarts it
"""


class WbvlaError(Exception):
    """Base of every error that wbvla raises on purpose."""


class ConfigError(WbvlaError):
    """A configuration value is missing or impossible."""


class UnknownName(WbvlaError, KeyError):
    """A registry does not hold this name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ContractMismatch(WbvlaError):
    """An artefact does not fit what it meets; `differences` holds one line per difference."""

    def __init__(self, subject: str, differences: list[str]) -> None:
        self.differences = list(differences)
        lines = "\n".join(f"  - {line}" for line in differences)
        super().__init__(f"{subject} does not match:\n{lines}")


class ArtefactError(WbvlaError):
    """An artefact's files are missing, damaged or of another version."""


class DataError(WbvlaError):
    """A dataset is missing, damaged or of another version."""


class CameraError(WbvlaError):
    """A camera is missing, was unplugged, or delivers something else than was asked."""


class RobotError(WbvlaError):
    """A body, its model or its description cannot be used."""


class RenderError(WbvlaError):
    """No working OpenGL was found."""


class TrainingDiverged(WbvlaError):
    """A loss or gradient is not finite; training stopped."""


class LinkError(WbvlaError):
    """The peer refused, answered wrongly or cannot be reached."""


class SafetyTrip(WbvlaError):
    """The safety layer stopped the robot; latched until a person restarts it."""
