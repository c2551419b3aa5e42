"""Score the test split with the trained weights of every variant and repeat, or texts of your own.

    python -m stages.predict                          the test split: the stage of dvc.yaml
    python -m stages.predict "A film to remember."    your texts, by the trained models
    python -m stages.predict --file mine.csv          those of a table, or with - of each line of
                                                      standard input

Of the test split:
In:  data/models/, data/sequences/test/ and, for what was trained on an encoder's vectors of texts,
     data/embeddings/.
Out: data/predictions/test.parquet: variant, repeat (int16), row (int32, of the split),
     label (int8; int16 of more than 128) and probability (float32, of label 1; of more than two
     labels a list, of each).
     Models in data/models/ of variants that params.yaml no longer names are removed.
Parameters: model.head, train.repeats, variants.

The heads `flatten` and `mean` are scored without TensorFlow. What else scores, and how texts are
laid out for it, is that of `train`: stages.train.network, .batches and .backend, its .machine, and
the .regression of linear variants.

Of your texts:
In:  data/models/, data/sequences/, the names of the labels in data/raw/texts.parquet and, of an
     encoder's variant, data/raw/vectors/.
Out: a table on standard output, CSV or with --json JSON Lines, a line for each text: its label, the
     label's probability, and where the variant is linear or averages, the words that spoke most
     for the label and against it. What can't be read is named on standard error, the rest goes on,
     and the exit status is 1.
Parameters: download.texts says how a table is written and which column is the text.

Texts become sequences by stages.tokenize.encoding, and tables are read as `download` does, by its
.tables and .delimited.
"""

import sys

from stages.shared.errors import run


def main() -> None:
    if sys.argv[1:]:  # each imports only what it needs: importing takes most of the time
        from stages.predict.own_texts import predict_own_texts

        predict_own_texts(__doc__)
    else:
        from stages.predict.stage import score_test_split

        score_test_split()


if __name__ == "__main__":
    run(main)
