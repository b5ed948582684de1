"""Migrations of the catalog's schema: append a function, never change a released function.

The names of the functions are stored in every catalog.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

MIGRATIONS = Migrations("searchapp")


@MIGRATIONS()
def m001_catalog(db: Database) -> None:
    """Create the tables of images, runs, files, collections, embeddings and failures."""
    db.executescript(
        """
        create table images (
            id integer primary key,
            sha256 text not null unique,
            format text not null,
            width integer not null,   -- pixels, upright
            height integer not null,
            taken_at text,            -- null: not in the metadata
            camera text,              -- null: not in the metadata
            latitude real,            -- null: not in the metadata
            longitude real            -- null: not in the metadata
        );
        create table runs (
            id integer primary key,
            collection_id integer not null references collections(id),
            roots text not null,      -- JSON list of absolute paths
            started_at text not null, -- ISO 8601, UTC
            finished_at text,         -- null: interrupted, or still running
            summary text              -- JSON; null while finished_at is null
        );
        create table files (
            path text primary key,    -- a blob if the name is not valid UTF-8
            image_id integer not null references images(id),
            size integer not null,
            mtime_ns integer not null,
            run_id integer not null references runs(id)
        ) without rowid;
        create index files_image on files(image_id);
        create table collections (
            id integer primary key,
            name text not null unique,
            model text not null,      -- name, or absolute path of the model's folder
            revision text not null,
            dimensions integer not null,
            settings text not null,   -- JSON: the model options that the vectors depend on
            index_file text,          -- null: the index is not saved yet
            index_count integer not null default 0,
            index_last_id integer not null default 0,
            created_at text not null
        );
        create table embeddings (
            id integer primary key autoincrement,  -- also the FAISS id; never reused
            collection_id integer not null references collections(id),
            image_id integer not null references images(id),
            vector blob not null,     -- little-endian float16, normalized to length 1
            unique (collection_id, image_id)
        );
        create index embeddings_image on embeddings(image_id);
        create table failures (
            collection_id integer not null references collections(id),
            path text not null,       -- a blob if the name is not valid UTF-8
            size integer not null,
            mtime_ns integer not null,
            run_id integer not null references runs(id),
            stage text not null,
            message text not null,
            primary key (collection_id, path)
        ) without rowid;
        """
    )


@MIGRATIONS()
def m002_photos(db: Database) -> None:
    """Create the view photos, with one row per file, for --where and for other programs."""
    db.executescript(
        """
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
            i.taken_at as taken_at,   -- ISO 8601 on the camera's clock; null: unknown
            i.camera as camera,
            i.latitude as latitude,   -- degrees, north positive
            i.longitude as longitude, -- degrees, east positive
            f.size as size,           -- bytes
            strftime('%Y-%m-%dT%H:%M:%S', f.mtime_ns / 1000000000, 'unixepoch') as mtime,  -- UTC
            i.sha256 as sha256,
            i.id as image_id
        from files f join images i on i.id = f.image_id;
        """
    )


@MIGRATIONS()
def m003_calibrations(db: Database) -> None:
    """Create the table of the vectors of sentences that calibrate good matches."""
    db.executescript(
        """
        create table calibrations (
            collection_id integer primary key references collections(id),
            sentences text not null,  -- hash of the sentences
            vectors blob not null     -- little-endian float16, concatenated
        );
        """
    )


@MIGRATIONS()
def m004_index_state(db: Database) -> None:
    """Count embeddings by triggers, and record the kind and the contents of the index file."""
    db.executescript(
        """
        alter table collections add column embedded integer not null default 0;
        alter table collections add column last_embedding integer not null default 0;
        alter table collections add column deletions integer not null default 0;
        update collections set (embedded, last_embedding) = (
            select count(*), coalesce(max(id), 0) from embeddings e
            where e.collection_id = collections.id
        );
        -- `insert or replace` does not fire the delete trigger; use delete and then insert.
        create trigger embedding_added after insert on embeddings begin
            update collections set embedded = embedded + 1, last_embedding = new.id
            where id = new.collection_id;
        end;
        create trigger embedding_removed after delete on embeddings begin
            update collections set embedded = embedded - 1, deletions = deletions + 1
            where id = old.collection_id;
        end;

        alter table collections add column index_wanted text not null default 'auto';
        alter table collections add column index_kind text not null default 'exact';
        alter table collections add column index_made_for text not null default 'auto';
        alter table collections add column index_size integer not null default 0;
        alter table collections add column index_trained integer not null default 0;
        alter table collections add column index_deletions integer not null default 0;
        -- The sizes of existing index files are unknown, so all indexes are rebuilt.
        update collections set index_file = null, index_count = 0, index_last_id = 0;
        """
    )


@MIGRATIONS()
def m005_metadata(db: Database) -> None:
    """Store more metadata, keywords and sidecars; the next index run fills the new columns."""
    db.executescript(
        """
        alter table images add column lens text;         -- null: not in the metadata
        alter table images add column rating integer;    -- 1 to 5, -1: rejected; null: unrated
        alter table images add column title text;        -- null: not in the metadata
        alter table images add column description text;  -- null: not in the metadata
        alter table images add column date text;         -- taken_at, else file date; null: neither
        alter table images add column date_from text;    -- exif, xmp, iptc, file; null: no date
        alter table images add column reader integer not null default 0;  -- reader's version

        update images set date = taken_at, date_from = 'exif' where taken_at is not null;
        update images set date_from = 'file', date = (
            select strftime('%Y-%m-%dT%H:%M:%S', min(f.mtime_ns) / 1000000000, 'unixepoch',
                            'localtime')
            from files f where f.image_id = images.id
        )
        where taken_at is null and id in (select image_id from files);

        create table keywords (
            image_id integer not null references images(id) on delete cascade,
            keyword text not null,
            primary key (image_id, keyword)
        ) without rowid;

        -- The .xmp files that were read, with their size and time at that moment.
        create table sidecars (
            path text primary key,    -- a blob if the name is not valid UTF-8
            size integer not null,
            mtime_ns integer not null
        ) without rowid;

        -- Counts updates of existing rows of images; caches of images in memory compare it.
        create table changes (images integer not null);
        insert into changes values (0);

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
            i.sha256 as sha256,
            i.id as image_id
        from files f join images i on i.id = f.image_id;
        """
    )


@MIGRATIONS()
def m006_frames(db: Database) -> None:
    """Store the frames of videos, and the companion files of pictures."""
    db.executescript(
        """
        -- A frame is an image without a file of its own; images.sha256 is then the hash of the
        -- video's SHA-256 and the time. The first frame is the image of the video itself.
        create table frames (
            image_id integer primary key references images(id),
            video_id integer not null references images(id),
            seconds real not null     -- from the beginning of the video
        );
        create index frames_video on frames(video_id);
        create table companions (
            path text primary key,    -- a blob if the name is not valid UTF-8
            of_path text not null,    -- file of the picture
            kind text not null        -- raw: a RAW file; film: the video of a Live Photo
        ) without rowid;
        create index companions_of on companions(of_path);
        """
    )


@MIGRATIONS()
def m007_fingerprints(db: Database) -> None:
    """Store the fingerprints that find equal pictures in different files."""
    db.executescript(
        """
        create table fingerprints (
            image_id integer primary key references images(id) on delete cascade,
            kind integer not null,    -- version of the algorithm; others are made again
            hash integer not null,    -- 64 bits
            copy blob not null,       -- a very small copy of the picture
            pixels text               -- SHA-256 of the upright pixels; null: not needed yet
        );
        create index fingerprints_hash on fingerprints(kind, image_id, hash);
        """
    )


@MIGRATIONS()
def m008_vectors_at(db: Database) -> None:
    """Create tables of Milvus collections, and of embeddings with outdated fields in Milvus."""
    db.executescript(
        """
        -- URL of the store that the user requested; null: a FAISS file.
        alter table collections add column vectors_wanted text;

        -- Collections in Milvus. The one named in collections.index_file answers searches. Of the
        -- others, one may be in the process of being filled, and the rest must be dropped.
        create table stores (
            name text primary key,    -- in Milvus
            collection_id integer not null references collections(id),
            place text not null,      -- address of the server or file, without secrets
            fields text not null      -- JSON list: names of the image fields in the store
        );
        create index stores_collection on stores(collection_id);

        -- Embeddings whose image fields have changed since the upload.
        create table restated (embedding_id integer primary key);
        create trigger image_restated
        after update of format, width, height, date, date_from, camera, lens, rating, latitude,
            longitude on images
        when exists (select 1 from stores)
        begin
            insert or ignore into restated
            select e.id from embeddings e
            where e.image_id = new.id
            and e.collection_id in (select collection_id from stores);
        end;
        """
    )
