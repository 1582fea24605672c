"""The routes, one file for each; `gradus.serve.table.ROUTES` lists them."""
