"""Words as Keras' Tokenizer finds them: what stands between blanks and marks."""

MARKS = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


def words(text, lowercase):
    """Cut a text into words; some are empty. `lowercase` is true, false or "turkish"."""
    if lowercase == "turkish":
        text = text.replace("I\u0307", "i").translate({ord("I"): "ı", ord("İ"): "i"})
    return (text.lower() if lowercase else text).translate(MARKS).split(" ")
