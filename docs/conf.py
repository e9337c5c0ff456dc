"""Sphinx: numpydoc for the reference, MyST for the pages, sphinx-gallery for the examples."""

from sklearn_pretrained import __version__

project = "sklearn-pretrained"
author = "the sklearn-pretrained developers"
release = version = __version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
html_theme = "pydata_sphinx_theme"
html_title = "sklearn-pretrained"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_js_files = [("names.js", {"defer": "defer"})]
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "changelog": [], "benchmarks": [], "benchmarks_tables": []}
html_show_sourcelink = False
myst_enable_extensions = ["colon_fence", "deflist"]
exclude_patterns = [
    *("_build", "auto_examples/**.ipynb", "auto_examples/**.py"),
    *("sg_execution_times.rst", "auto_examples/**sg_execution_times.rst"),
]
myst_heading_anchors = 3
templates_path = ["_templates"]
autosummary_generate = True
# Methods of scikit-learn's estimators, which its own pages describe.
autosummary_context = {
    "scikit_learn": [
        *("get_metadata_routing", "get_params", "score", "set_output", "set_params"),
        *("set_fit_request", "set_score_request", "set_transform_request"),
    ]
}
numpydoc_show_class_members = False
autodoc_typehints = "none"  # the lists of parameters say it in words
autodoc_default_options = {"members": True, "inherited-members": False}
suppress_warnings = ["config.cache"]
GROUPS = ("features", "choose", "train", "look", "tasks", "ship")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": [f"../examples/{name}" for name in GROUPS],
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
}
