"""Segments of a run's users: found by clustering, assessed, described, stored, and used to assign new users.

A run stores its segments in the directory `segments/`:

    segments.csv       a row for each user with ratings: `user_id`, `segment` (numbered from 1, by size), `name`
    segments.json      names, profiles, measures, settings, and the fingerprint of the ratings
    segmentation.npz   arrays of the fitted segmentation, which assigns new users
"""
