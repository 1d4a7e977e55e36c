"""The dataset on disk (LeRobot v3.0), written so that an episode is whole or absent."""
