"""Movie recommendation research: data, models, evaluation and studies behind one interface."""
