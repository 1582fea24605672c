"""Serving a checkpoint over HTTP: ``gradus serve CHECKPOINT``.

::

    client -> connection -> door -> route -> service -> worker process -> engine -> checkpoint
              time, size    keys    parse    queue      frames of JSON    batch
              number        limits           batches

One process speaks HTTP and holds no model; workers hold the model and speak to nobody else. So a
worker that dies takes no connection with it: the requests that it had go to the next one.

What is added where:

- **A route** is a module in `gradus.serve.routes` (or elsewhere) with a function ``add(api)``, and
  a line in `gradus.serve.table.ROUTES`. It reads its body with `gradus.serve.reading.read`, hands
  work to ``api.service.ask`` (one answer) or ``api.service.stream`` (parts, as they come), and
  answers. Whatever must be refused is raised as `gradus.serve.refusals.Refused`; of a stream that
  has begun, it ends the stream. `gradus.serve.routes.classify` is the shortest example.
- **An engine** is a subclass of `gradus.serve.engine.Engine` and a line in the catalog's section
  `engines`, whose order is that of ``--engine auto``. It runs in the worker and knows nothing of
  HTTP. Its `tasks` are what routes may ask of it, its `slots` say whether it takes batches or some
  jobs at a time.
"""
