"""Migrations of the catalog's schema from number 9 on: append a function, as in migrations.py."""

from __future__ import annotations

import re

from sqlite_utils import Database

from searchapp.catalog.migrations import MIGRATIONS

__all__ = ["MIGRATIONS"]


@MIGRATIONS()
def m009_image_ids(db: Database) -> None:
    """Remember the last image id, so that no id is used twice: URLs of the web page contain ids."""
    db.executescript(
        """
        create table image_ids (last_id integer not null);  -- one row
        insert into image_ids select coalesce(max(id), 0) from images;
        create trigger image_id_used after delete on images
        begin
            update image_ids set last_id = max(last_id, old.id);
        end;
        """
    )


@MIGRATIONS()
def m010_one_slash(db: Database) -> None:
    """Rename paths that begin with two slashes: `index //data` stored files a second time."""
    for table, column in (
        ("files", "path"),
        ("failures", "path"),
        ("sidecars", "path"),
        ("companions", "path"),
        ("companions", "of_path"),
    ):
        # A path is a text, or a blob if it is not valid UTF-8.
        where = (
            f"{column} >= '//' and {column} < '/0' or {column} >= x'2f2f' and {column} < x'2f30'"
        )
        db.execute(f"update or ignore {table} set {column} = substr({column}, 2) where {where}")
        db.execute(f"delete from {table} where {where}")


@MIGRATIONS()
def m012_file_metadata(db: Database) -> None:
    """Store metadata of a file that differs from that of other files with the same bytes."""
    db.executescript(
        """
        -- The metadata of a file is a row in the table images without a file and an embedding;
        -- images.sha256 is then a hash of the path. All files of an image have a row here, or
        -- none of them.
        create table file_metadata (
            path text primary key,    -- a blob if the name is not valid UTF-8
            image_id integer not null references images(id),  -- the image of the file
            metadata_id integer not null references images(id)
        ) without rowid;
        create index file_metadata_image on file_metadata(image_id);
        create index file_metadata_metadata on file_metadata(metadata_id);
        create trigger file_deleted after delete on files begin
            delete from file_metadata where path = old.path;
        end;
        create trigger file_changed after update of path, image_id on files
        when old.image_id <> new.image_id or old.path <> new.path
        begin
            delete from file_metadata where path = old.path;
        end;
        create trigger file_metadata_deleted after delete on file_metadata begin
            delete from images where id = old.metadata_id;
            update changes set images = images + 1;
        end;

        drop view photos;
        create view photos as
        select
            f.path as path,
            case
                when length(rtrim(f.path, replace(f.path, '/', ''))) < 2
                then rtrim(f.path, replace(f.path, '/', ''))
                else rtrim(rtrim(f.path, replace(f.path, '/', '')), '/')
            end as folder,
            replace(lower(i.format), 'mpo', 'jpeg') as format,
            i.width as width,         -- pixels, upright
            i.height as height,
            i.width * i.height / 1e6 as megapixels,
            i.taken_at as taken_at,   -- ISO 8601 on the camera's clock; null: not in the metadata
            i.date as date,           -- taken_at; if that is null, the file's modification time
            i.date_from as date_from, -- exif, xmp, iptc or file
            i.camera as camera,
            i.lens as lens,
            i.latitude as latitude,   -- degrees, north positive
            i.longitude as longitude, -- degrees, east positive
            i.rating as rating,       -- 1 to 5; -1: rejected; null: unrated
            i.title as title,
            i.description as description,
            (select group_concat(k.keyword, ', ') from keywords k where k.image_id = i.id)
                as keywords,          -- null: none
            f.size as size,           -- bytes
            strftime('%Y-%m-%dT%H:%M:%S', f.mtime_ns / 1000000000, 'unixepoch') as mtime,  -- UTC
            c.sha256 as sha256,
            c.id as image_id
        from files f
        join images c on c.id = f.image_id
        left join file_metadata m on m.path = f.path
        join images i on i.id = coalesce(m.metadata_id, f.image_id);
        """
    )


@MIGRATIONS()
def m013_decoders(db: Database) -> None:
    """Know which embeddings were made with other colors than the decoder shows now."""
    db.executescript(
        """
        -- Version of the decoder that changed the colors of this picture. 0: none did.
        alter table images add column colors_since integer;  -- null: the next index run finds out
        update images set colors_since = 0 where id in (select image_id from frames);
        create index images_other_colors on images(colors_since) where colors_since is not 0;

        -- Embeddings up to this id were made by a decoder before this version. Version 1 applies
        -- ICC profiles, tone-maps HDR, and chooses the ground of transparent pictures.
        create table decoders (version integer primary key, last_embedding integer not null);
        insert into decoders select 1, coalesce(max(seq), 0) from sqlite_sequence
        where name = 'embeddings';
        """
    )


@MIGRATIONS()
def m014_change_times(db: Database) -> None:
    """Store the change times of files, which tell edits that keep size and modification time."""
    db.executescript(
        """
        -- Null: an older version read the file, or its file system stores no change times.
        alter table files add column ctime_ns integer;
        alter table failures add column ctime_ns integer;
        alter table sidecars add column ctime_ns integer;
        -- Null: the change time is known, the sidecar is large, or an older version read it.
        alter table sidecars add column sha256 text;
        """
    )


# Name of a trigger, event, and the images whose texts the event changes.
TEXT_TRIGGERS = (
    ("text_file_added", "insert on files", ["new.image_id"]),
    (
        "text_file_changed",
        "update of path, image_id on files"
        " when old.image_id <> new.image_id or old.path <> new.path",
        ["old.image_id", "new.image_id"],
    ),
    ("text_file_removed", "delete on files", ["old.image_id"]),
    (
        "text_caption_changed",
        "update of title, description on images"
        " when old.title is not new.title or old.description is not new.description",
        ["new.id"],
    ),
    ("text_image_removed", "delete on images", ["old.id"]),
    ("text_keyword_added", "insert on keywords", ["new.image_id"]),
    ("text_keyword_removed", "delete on keywords", ["old.image_id"]),
    ("text_file_described", "insert on file_metadata", ["new.image_id"]),
    ("text_file_undescribed", "delete on file_metadata", ["old.image_id"]),
    ("text_recognized", "insert on recognized_texts", ["new.image_id"]),
    ("text_recognized_again", "update on recognized_texts", ["new.image_id"]),
    ("text_forgotten", "delete on recognized_texts", ["old.image_id"]),
)


@MIGRATIONS()
def m015_texts(db: Database) -> None:
    """Index file names, captions and recognized text; text_index.py writes the table texts."""
    db.executescript(
        """
        -- The rowid is the id of the image. The columns contain search forms, one per line.
        create virtual table texts using fts5(
            name, folder, title, caption, text, tokenize = "trigram case_sensitive 1"
        );
        -- Text that a reader recognized in pictures.
        create table recognized_texts (
            image_id integer primary key references images(id) on delete cascade,
            reader text not null,     -- name and version of the reader
            lines text not null       -- JSON: a list of TextLine
        );
        -- Images whose row in texts must be written again before the transaction commits.
        create table stale_texts (image_id integer primary key);
        insert into stale_texts select distinct image_id from files;
        """
    )
    for trigger in TEXT_TRIGGERS:
        _create_text_trigger(db, *trigger)


def _create_text_trigger(db: Database, name: str, event: str, image_ids: list[str]) -> None:
    """Create a trigger that notes the images whose texts an event changes."""
    # Not "insert or ignore": an upsert of the outer statement would turn it into an abort,
    # see https://www.sqlite.org/lang_createtrigger.html
    statements = "".join(
        f"insert into stale_texts select {image_id}"
        f" where {image_id} not in (select image_id from stale_texts); "
        for image_id in image_ids
    )
    db.execute(f"create trigger {name} after {event} begin {statements}end")


@MIGRATIONS()
def m016_inspections(db: Database) -> None:
    """Store the hash of a picture's content without its border, and detailed comparisons."""
    db.executescript(
        """
        alter table fingerprints add column content_hash integer;  -- null: no border
        create index fingerprints_content on fingerprints(kind, image_id, content_hash)
            where content_hash is not null;

        -- Pairs of pictures that were compared in detail. The lower image id comes first.
        create table inspections (
            first_id integer not null references images(id) on delete cascade,
            second_id integer not null references images(id) on delete cascade,
            kind integer not null,    -- version of the comparison; others are made again
            result text not null,     -- JSON
            primary key (first_id, second_id)
        ) without rowid;
        create index inspections_second on inspections(second_id);
        """
    )


@MIGRATIONS()
def m017_text_in_pictures(db: Database) -> None:
    """Store which pictures a reader could not read, and show the text in the view photos."""
    db.executescript(
        """
        alter table recognized_texts add column text text not null default '';  -- the lines
        alter table recognized_texts add column failure text;  -- null: the picture was read
        update recognized_texts set text = coalesce((
            select group_concat(json_extract(value, '$.text'), char(10)) from json_each(lines)
        ), '');
        create table text_recognition (is_on integer not null);  -- one row
        insert into text_recognition values (0);
        """
    )
    # A video has the text of all its frames. Null: not read. A condition on the view may not call
    # the function char, so the line end is literal.
    _add_photos_columns(
        db,
        "(select group_concat(t.text, '\n') from recognized_texts t where t.failure is null"
        " and (t.image_id = c.id or t.image_id in"
        " (select r.image_id from frames r where r.video_id = c.id))) as text",
    )


@MIGRATIONS()
def m018_places(db: Database) -> None:
    """Store the names of places, and find them as words; places.py looks them up."""
    for column in ("city", "region", "country"):
        db.execute(f"alter table images add column {column} text")  # null: not known
    db.executescript(
        """
        -- The gazetteer that named the place. Null: not looked up, or the position has changed.
        alter table images add column gazetteer text;
        create index images_gazetteer on images(gazetteer) where latitude is not null;
        create trigger image_moved after update of latitude, longitude on images
        when old.latitude is not new.latitude or old.longitude is not new.longitude
        begin
            update images set city = null, region = null, country = null, gazetteer = null
            where id = new.id;
        end;

        -- An FTS5 table takes no new column, so it is built again.
        drop table texts;
        create virtual table texts using fts5(
            name, folder, title, caption, text, place, tokenize = "trigram case_sensitive 1"
        );
        insert into stale_texts select image_id from files
        union select image_id from recognized_texts except select image_id from stale_texts;
        -- The search forms of all names of places, to recognize them in a query.
        create table place_names (form text primary key) without rowid;
        """
    )
    _add_photos_columns(db, "i.city as city, i.region as region, i.country as country")
    changed = " or ".join(f"old.{name} is not new.{name}" for name in ("city", "region", "country"))
    _create_text_trigger(
        db,
        "text_place_changed",
        f"update of city, region, country on images when {changed}",
        ["new.id"],
    )


def _add_photos_columns(db: Database, columns: str) -> None:
    """Add columns to the end of the view photos; the other columns stay as they are."""
    (sql,) = db.execute("select sql from sqlite_master where name = 'photos'").fetchone()
    # On a line of its own, because the last column can end in a comment.
    changed, count = re.subn(r"\s+from files f\b", f"\n, {columns}\nfrom files f", sql, count=1)
    assert count, sql
    db.execute("drop view photos")
    db.execute(changed)


@MIGRATIONS()
def m019_saved_searches(db: Database) -> None:
    """Keep searches under names, and the choices of people who reviewed duplicates."""
    db.executescript(
        """
        create table saved_searches (
            id integer primary key autoincrement,  -- used once: addresses of the API contain it
            name text not null unique,
            terms text not null,      -- JSON: a list of SavedTerm
            options text not null,    -- JSON: the options that differ from the defaults
            link_folder text,         -- a blob if it is not valid UTF-8; null: no links
            created_at text not null  -- ISO 8601, UTC
        );

        -- A row for each file of a group of duplicates that a person has reviewed.
        create table duplicate_reviews (
            review_id integer not null,  -- of the group; the later review has the higher id
            path text not null,          -- a blob if the name is not valid UTF-8
            sha256 text not null,
            stays integer not null,      -- 0: the file was chosen to move away
            primary key (review_id, path)
        ) without rowid;
        create index duplicate_reviews_sha256 on duplicate_reviews(sha256);
        """
    )
