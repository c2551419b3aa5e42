"""Land what params.yaml names under `download` in the one form that later stages know.

    python -m stages.download          the labelled texts
    python -m stages.download NAME     the vectors of this name

In:  an installed package, or the file, folder or URL at the source's `path`.
Out: data/raw/texts.parquet: split (train, test), label (int8; int16 of more than 128
     labels), text and, if download.texts names a column of groups, group (int32); its metadata has
     the labels' names and how many texts are equal.
     data/raw/vectors/<name>/: words.txt (a word a line) and matrix.npy (n_words, dim) float32;
     or, of an encoder, encoder.json (stages.shared.encoder.Settings), tokenizer.json as published,
     and model.safetensors: the layers that are asked for, float32.
Parameters: download.texts or download.vectors.<name>.
"""

from stages.shared import params
from stages.shared.errors import command_line, run, with_key


def main() -> None:
    download = params.load().download
    parser = command_line(__doc__)
    parser.add_argument("vectors", nargs="?", choices=download.vectors, metavar="NAME")
    name = parser.parse_args().vectors
    if name is None:  # each imports only what it needs: importing takes most of the time
        from stages.download.land_texts import land_texts

        land_texts(download.texts)
    else:
        source = download.vectors[name]
        if source.is_encoder:
            from stages.download.land_encoder import land_encoder as land
        else:
            from stages.download.land_vectors import land_vectors as land

        with with_key(f"download.vectors.{name}"):
            land(name, source)


if __name__ == "__main__":
    run(main)
