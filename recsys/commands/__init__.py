"""The commands: but for `train`, a module for each, with `add_arguments` and `run`, imported when called."""

COMMANDS = {
    "train": "Train a model, choose on validation, test once; also sweeps, searches and studies (train.py).",
    "prepare": "Download, clean and cache a data set; print what cleaning dropped and what metadata describes.",
    "explore": "Answer questions about a data set with figures and findings: an HTML report, PNG, SVG, TensorBoard.",
    "test": "Test a trained model again, with another protocol, reranker or other list lengths.",
    "table": "Print the metrics of runs, mean and deviation over seeds and splits; of a study, rewrite its folder.",
    "compare": "Compare models with one of them, on the splits that both were tested on.",
    "verify": "Repeat one run of a study, and say whether its figures are those that the study published.",
    "select": "Say which model of a study to use by a metric, and how sure that is.",
    "recommend": "Recommend films to a user of the data or to a new user, with a reason for each.",
    "export": "Write the model of a run as ONNX or by torch.export, with its catalogue, to run without this package.",
    "similar": "List the films that are most similar to one, by the ratings and metadata of a run.",
    "load": "Write clean ratings, users and films into a database; of a run also its recommendations for every user.",
    "serve": "Open a web page and an API on trained runs, and store the feedback of viewers.",
    "mcp": "Offer trained runs to an assistant, by the Model Context Protocol on standard input and output.",
    "refit": "Train a run again with the feedback of viewers, and serve it in the run's place if it is not worse.",
    "replay": "Estimate from feedback what a run's lists would have been worth to viewers who saw other lists.",
    "segments": "Find segments of a run's users and report on them, or name the segment of a new user.",
    "importance": "Report on the features that the trees of a run go by, and how sure they are, by its test ratings.",
}
