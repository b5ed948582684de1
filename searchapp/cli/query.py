"""`searchapp query`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from searchapp.cli import shell_completion
from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_options import LOG_OPTION_NAMES
from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.open_viewer import open_in_viewer
from searchapp.cli.preview import print_preview
from searchapp.cli.print_hits import list_hit_values, note_quality, print_hits
from searchapp.cli.query_file import answer_file, refuse_options
from searchapp.cli.query_terms import QuestionArguments, format_title
from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    collection_option,
    engine_option,
    json_option,
    keep_alive_option,
    library_option,
    model_option,
    print_json,
    print_path,
    ranking_options,
    truncate_option,
    trust_option,
)
from searchapp.cli.start_engine import announce_reranker, start_until_exit
from searchapp.cli.terminal_protocol import PROTOCOLS
from searchapp.errors import QueryError
from searchapp.files.copy_hits import copy_hits, link_hits, local_file
from searchapp.files.library_folder import resolve_library_folder
from searchapp.server.answer_query import answer_query, answer_saved, list_newest, load_saved
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import MAX_RERANKED_HITS, RERANKED_HITS, SearchOptions, format_count

# Options that are no part of a question: `saved add` has all others.
OUTPUT_OPTIONS = LOG_OPTION_NAMES | {
    "saved", "queries", "offset", "as_json", "json_object", "paths", "null", "html", "copy_to",
    "link_to", "preview", "open_best", "trust_remote_code", "no_daemon", "keep_alive", "engine",
    "api_key", "library",
}  # fmt: skip
DEFAULT_VALUES = {"--preview": "--preview=auto", "--rerank": f"--rerank={RERANKED_HITS}"}


class QueryCommand(AppCommand):
    """Command with options whose value can be left out: `--preview TEXT` leaves TEXT as query."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give these options their default values, and parse the arguments.

        A number after --rerank is its value: `--rerank 5`.
        """
        end = args.index("--") if "--" in args else len(args)
        options = [
            arg if arg == "--rerank" and following.isdecimal() else DEFAULT_VALUES.get(arg, arg)
            for arg, following in zip(args[:end], [*args[1:end], ""], strict=False)
        ]
        return super().parse_args(ctx, options + args[end:])


@click.command(cls=QueryCommand)
@click.argument("text", required=False)
@click.option(
    "--image", "images", multiple=True, metavar="FILE|URL",
    help="Find pictures similar to this one. Can be repeated.",
)  # fmt: skip
@click.option(
    "--text",
    "texts",
    multiple=True,
    metavar="TEXT[:W]",
    help="Add TEXT to the query, with weight W (by default 1).",
)
@click.option(
    "--minus-text",
    "minus_texts",
    multiple=True,
    metavar="TEXT[:W]",
    help="Subtract TEXT from the query.",
)
@click.option(
    "--minus-image", "minus_images", multiple=True, metavar="FILE|URL[:W]",
    help="Subtract a picture from the query.",
)  # fmt: skip
@click.option(
    "--region", metavar="X,Y,W,H",
    help="Search by this part of --image, in pixels, or in percent such as 10%,5%,50%,40%.",
)  # fmt: skip
@click.option(
    "--like", "likes", multiple=True, metavar="PICTURE",
    help="Find more like PICTURE: a file, a picture of the library, or its id. Can be repeated.",
)  # fmt: skip
@click.option(
    "--unlike", "unlikes", multiple=True, metavar="PICTURE",
    help="Find less like PICTURE. Can be repeated.",
)  # fmt: skip
@click.option(
    "--include-examples", is_flag=True,
    help="Show the pictures of --like and --unlike among the hits.",
)  # fmt: skip
@click.option(
    "-k", "--count", "count", type=click.IntRange(min=1), default=10, show_default=True,
    metavar="N", help="Show the best N hits.",
)  # fmt: skip
@filter_options
@ranking_options
@click.option(
    "--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Skip the best N hits."
)
@click.option(
    "--rerank", type=click.IntRange(1, MAX_RERANKED_HITS), metavar="[N]",
    help=f"Look at the best N hits again with a reranker (by default {RERANKED_HITS}).",
)  # fmt: skip
@click.option(
    "--reranker", metavar="NAME|FOLDER|URL",
    help="Use this reranker, or the one of a vLLM server.",
)  # fmt: skip
@json_option
@click.option(
    "--json-object", is_flag=True,
    help="Print one JSON object: the list of hits, and whether the best is a good match.",
)  # fmt: skip
@click.option("--paths", is_flag=True, help="Print only paths, one on each line.")
@click.option("-0", "null", is_flag=True, help="Print only paths, with a null byte after each.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page with the hits to FILE.",
)
@click.option(
    "--copy-to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Copy the hits and their companions into folder DIR.",
)  # fmt: skip
@click.option(
    "--link-to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Create links to the hits and their companions in folder DIR.",
)  # fmt: skip
@click.option(
    "--preview", type=click.Choice(["auto", *PROTOCOLS]), metavar="[=HOW]",
    help="Draw the hits in the terminal; HOW is auto, kitty, iterm, sixel or blocks.",
)  # fmt: skip
@click.option(
    "--saved", metavar="NAME", shell_complete=shell_completion.complete_saved,
    help="Run the saved search NAME; the options that you add replace those that it holds.",
)  # fmt: skip
@click.option(
    "--queries", type=click.File("rb"), metavar="FILE|-",
    help="Answer each line of FILE: a text, or a JSON object with a picture, filters or limits.",
)  # fmt: skip
@click.option("--open", "open_best", is_flag=True, help="Open the best hit in your picture viewer.")
@model_option
@collection_option
@truncate_option
@trust_option
@click.option(
    "--no-daemon", is_flag=True, help="Answer in this process, not in a resident process."
)
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    saved: str | None,
    queries: BinaryIO | None,
    as_json: bool,
    json_object: bool,
    paths: bool,
    null: bool,
    html: Path | None,
    copy_to: Path | None,
    link_to: Path | None,
    preview: str | None,
    open_best: bool,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Find the pictures nearest to TEXT, to --image, or to both together.

    Without both, a filter such as --in or --rating lists the pictures that match, newest first.
    TEXT also finds words in file and folder names, titles, descriptions and keywords. A phrase in
    double quotes must occur there. Several texts and pictures are added, or subtracted, with their
    weights.

    \b
    searchapp query "a red boat at sunset"
    searchapp query --image boat.jpg -k 3
    searchapp query --image boat.jpg --text "at sunset:0.5" --minus-text "people:0.5"
    searchapp query --image boat.jpg --region 20%,30%,40%,40%
    searchapp query "a boat" --like red.jpg --like blue.jpg --unlike harbour.jpg
    searchapp query --preview "a red boat" --after 2021
    searchapp query --by text IMG_2201
    searchapp query --rating 4+ --after 2021 -k 1000 --paths
    searchapp query -0 "two white sheep" | xargs -0 cp -t /tmp/sheep
    searchapp query --queries questions.txt --json > answers.jsonl

    The first query starts a resident process in the background. It keeps the model loaded, so that
    later queries are fast. The process stops after --keep-alive minutes without requests, or by
    `searchapp stop`. With -vv, the command itself answers, so that you see the output of vLLM.
    """
    from searchapp.files.atomic import require_writable
    from searchapp.indexing.embedding.choose_engines import EngineChoice

    require_writable(html)
    question = QuestionArguments.pop_from(arguments)
    choice = EngineChoice(engine, api_key, verbose=is_engine_output_shown())
    if arguments["reranker"] is not None and arguments["rerank"] is None and saved is None:
        raise QueryError("--reranker has no effect without --rerank; add --rerank")
    config = ResidentConfig(resolve_library_folder(library), keep_alive, engine, api_key)
    answering: dict[str, Any] = {
        "use_resident": not (no_daemon or is_engine_output_shown()),
        "notify": print_note,
        "start_reranker": announce_reranker(choice),
    }
    if queries is not None:
        refuse_options(click.get_current_context())
        base_options = SearchOptions(**arguments)
        answer_file(
            queries, base_options, config, start_until_exit(choice), answering, as_json=as_json
        )
        return
    if saved is None:
        options, examples = SearchOptions(**arguments), question.build_examples()
        is_list = question.is_empty and options.can_list
        query = question.build_query(can_be_empty=is_list or bool(examples))
        title = format_title(query, examples)
        if is_list:
            answer = list_newest(config.library_folder, options, print_note)
        else:
            answer = answer_query(
                query, options, config, start_until_exit(choice), **answering, examples=examples
            )
    else:
        if not question.is_empty:
            raise QueryError("--saved has a question of its own; leave out TEXT and pictures")
        search = load_saved(config.library_folder, saved, print_note)
        changes = _get_given_options(arguments)
        options, title = replace(search.options, **changes), search.name
        is_list = not search.terms
        answer = answer_saved(search, changes, config, start_until_exit(choice), **answering)
    hits = answer.hits
    if html is not None:
        from searchapp.pages.contact_sheet import Section, write_contact_sheet

        write_contact_sheet(html, [Section(title, hits)])
        print_note(f"wrote {format_count(len(hits), 'picture')} to {html}")
    if copy_to is not None:
        print_note(f"copied {format_count(copy_hits(hits, copy_to), 'picture')} to {copy_to}")
    if link_to is not None:
        count = format_count(link_hits(hits, link_to), "picture")
        print_note(f"created links to {count} in {link_to}")
    if open_best and hits:
        open_in_viewer(local_file(hits[0]))
    if as_json or json_object:
        found = list_hit_values(hits)
        print_json({"good_match": answer.good, "hits": found} if json_object else found)
    elif paths or null:
        for hit in hits:
            print_path(hit.path, b"\0" if null else b"\n")
    elif preview and print_preview(hits, preview):
        pass
    elif html is None:
        print_hits(hits, with_dates=is_list or options.sort == "date", with_scores=not is_list)
    note_quality(answer, options)


def _get_given_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the command line states; variables do not replace saved options."""
    context, given = click.get_current_context(), click.core.ParameterSource.COMMANDLINE
    return {
        name: value
        for name, value in arguments.items()
        if context.get_parameter_source(name) is given
    }
