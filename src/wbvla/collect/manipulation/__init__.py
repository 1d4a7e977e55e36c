"""Video of bimanual work at a table, in AgiBot World's layout: pieces of work, hands that do them, what is written."""
