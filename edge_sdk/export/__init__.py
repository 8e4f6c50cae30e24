"""The workstation's side: data sets, training, export to a bundle, evaluation. Needs the ``export`` extra."""
