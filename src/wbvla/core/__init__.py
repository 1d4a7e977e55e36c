"""The words every station shares: records, commands, contracts. Numpy only."""
