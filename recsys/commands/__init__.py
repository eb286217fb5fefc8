"""The commands of `recsys`, with a sentence that describes each.

Every command except `train` has a module of the same name in this package, which is imported only when the command is
called. The module has two functions: `add_arguments` adds the command's arguments to its parser, and `run` runs the
command. Invalid input raises `UserError`, which is printed as one sentence on stderr and leads to exit status 2.
"""

COMMANDS = {
    "train": "Train a model, choose on validation, test once; also sweeps, searches and studies (train.py).",
    "prepare": "Download, clean and cache a data set; print what cleaning dropped and what metadata describes.",
    "explore": "Answer questions about a data set with figures and findings: an HTML report, PNG, SVG, TensorBoard.",
    "test": "Test a trained model again, with another protocol, reranker or other list lengths.",
    "table": "Print the metrics of runs, mean and deviation over seeds and splits, or rewrite the folder of a study.",
    "compare": "Compare models with a baseline, on the splits on which both were tested.",
    "verify": "Repeat one run of a study, and report whether its results agree with the published ones.",
    "select": "Choose a model of a study by a metric, and report how certain the choice is.",
    "recommend": "Recommend films to a user of the data or to a new user, with a reason for each.",
    "export": "Write the model of a run as ONNX or with torch.export, with its catalogue, to run without this package.",
    "similar": "List the films that are most similar to one, by the ratings and metadata of a run.",
    "load": "Write clean ratings, users and films into a database, and a run's recommendations for every user.",
    "serve": "Open a web page and an API on trained runs, and store the feedback of viewers.",
    "mcp": "Offer trained runs to an assistant, through the Model Context Protocol on standard input and output.",
    "refit": "Train a run again with the feedback of viewers, and serve it in the run's place if it is not worse.",
    "replay": "Estimate from feedback what a run's lists would have been worth to viewers who saw other lists.",
    "segments": "Find segments of a run's users and report on them, or name the segment of a new user.",
    "importance": "Report which features the trees of a run rely on, and how certain that is, by its test ratings.",
}
