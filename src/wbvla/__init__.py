"""wbvla: train a humanoid to walk and use its hands from language and vision, and put it safely on a robot."""

__version__ = "0.1.0"
