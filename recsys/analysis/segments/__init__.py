"""Segments of a run's users: found by clustering, assessed, described and stored. New users can be assigned to them.

The files of a run's segments are in the folder `segments/` of the run's directory:

    segments.csv       a row for each user with ratings: `user_id`, and number (`segment`) and `name` of the segment
    segments.json      names, profiles, measures, settings, and the fingerprint of the ratings
    segmentation.npz   arrays of the fitted segmentation, which assigns new users

In the files, segments are numbered from 1, the largest segment first.
"""
