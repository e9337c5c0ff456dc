"""A folder with a folder of images for each class → their paths, classes and names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

# What networks are trained and tested on; Pillow reads many others, some of them programs.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".tga"),
)


def load_image_folder(
    container_path: str | os.PathLike[str], *, allowed_extensions: Sequence[str] | None = None
) -> Bunch:
    """Find images in folders that are named after their classes.

    Images are not opened: `PretrainedImageFeaturizer` accepts the paths and reads them one at a
    time. Subfolders of a class belong to that class. Read more in the
    :ref:`User Guide <data>`.

    Parameters
    ----------
    container_path : str or path
        The folder that contains one folder per class.
    allowed_extensions : sequence of str, default=None
        File name extensions, such as ``[".jpg", ".png"]``, in upper or lower case. None uses the
        common ones for images.

    Returns
    -------
    Bunch
        A dictionary whose keys are attributes too:

        data : ndarray of str
            Paths of the images, sorted by class and path.
        filenames : ndarray of str
            The same, named as in `sklearn.datasets.load_files`.
        target : ndarray of int
            The class of each image, as an index into ``target_names``.
        target_names : list of str
            Names of the folders that contain images, sorted.
        odd_files : list of str
            Paths that were left out: files with other extensions, files outside the class folders,
            hidden files, broken or circular links, and class folders without images.

    See Also
    --------
    PretrainedImageFeaturizer : Turns the paths into features.
    sklearn.datasets.load_files : The same for texts; it reads the files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from sklearn_pretrained import load_image_folder
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("cat/a.png", "dog/b.png", "dog/young/c.png"):
    ...     (folder / name).parent.mkdir(parents=True, exist_ok=True)
    ...     Image.new("RGB", (8, 8)).save(folder / name)
    >>> images = load_image_folder(folder)
    >>> images.target_names, images.target
    (['cat', 'dog'], array([0, 1, 1]))
    """
    top = Path(container_path).expanduser()
    if not top.is_dir():
        raise NotADirectoryError(f"There is no folder {str(top)!r}.")
    wanted = SUFFIXES if allowed_extensions is None else allowed_extensions
    endings = tuple(ending.lower() for ending in wanted)
    filenames: list[str] = []
    target: list[int] = []
    target_names: list[str] = []
    odd_files: list[str] = []
    for entry in sorted(top.iterdir()):
        if not entry.is_dir() or entry.name.startswith("."):
            odd_files.append(str(entry))
            continue
        found: list[str] = []
        for file in files_in(entry, odd_files):
            is_image = file.name.lower().endswith(endings) and not file.name.startswith(".")
            (found if is_image else odd_files).append(str(file))
        if not found:
            odd_files.append(str(entry))
            continue
        filenames += found
        target += [len(target_names)] * len(found)
        target_names.append(entry.name)
    if not filenames:
        raise ValueError(
            f"No folder within {str(top)!r} contains images ({', '.join(endings)}). Put the "
            "images of each class into their own folder; for images without classes, pass a list "
            "of paths: sorted(Path(folder).glob('*.jpg'))."
        )
    paths = np.array(filenames, dtype=object)
    return Bunch(
        data=paths,
        filenames=paths,
        target=np.array(target),
        target_names=target_names,
        odd_files=odd_files,
    )


def files_in(folder: Path, odd_files: list[str], above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield the files in a folder and in those within it, sorted."""
    real = os.path.realpath(folder)
    if real in above:
        odd_files.append(str(folder))
        return
    for entry in sorted(folder.iterdir()):
        if not entry.exists() or (entry.is_dir() and entry.name.startswith(".")):
            odd_files.append(str(entry))
        elif entry.is_dir():
            yield from files_in(entry, odd_files, (*above, real))
        else:
            yield entry
