"""The catalogue's schema as it grew: append a function, never change one that was released."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

MIGRATIONS = Migrations("searchapp")


@MIGRATIONS()
def m001_catalog(db: Database) -> None:
    """Make the first catalogue."""
    db.executescript(
        """
        create table images (
            id integer primary key,
            sha256 text not null unique,
            format text not null,
            width integer not null,   -- pixels, upright
            height integer not null,
            taken_at text,            -- null: the file does not say
            camera text,              -- null: the file does not say
            latitude real,            -- null: the file does not say
            longitude real            -- null: the file does not say
        );
        create table runs (
            id integer primary key,
            collection_id integer not null references collections(id),
            roots text not null,      -- JSON list of absolute paths
            started_at text not null, -- ISO 8601, UTC
            finished_at text,         -- null: interrupted, or still going on
            summary text              -- JSON, null as long as finished_at is
        );
        create table files (
            path text primary key,    -- a blob where the name is no valid UTF-8
            image_id integer not null references images(id),
            size integer not null,
            mtime_ns integer not null,
            run_id integer not null references runs(id)
        ) without rowid;
        create index files_image on files(image_id);
        create table collections (
            id integer primary key,
            name text not null unique,
            model text not null,      -- a model's name, or its folder's absolute path
            revision text not null,
            dimensions integer not null,
            settings text not null,   -- JSON: what else the vectors depend on
            index_file text,          -- null: not saved yet
            index_count integer not null default 0,
            index_last_id integer not null default 0,
            created_at text not null
        );
        create table embeddings (
            id integer primary key autoincrement,  -- the FAISS id: never used twice
            collection_id integer not null references collections(id),
            image_id integer not null references images(id),
            vector blob not null,     -- little-endian float16, length one
            unique (collection_id, image_id)
        );
        create index embeddings_image on embeddings(image_id);
        create table failures (
            collection_id integer not null references collections(id),
            path text not null,       -- a blob where the name is no valid UTF-8
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
    """Give people, and --where, one row a file to ask about."""
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
            i.taken_at as taken_at,   -- ISO 8601 on the camera's clock; null: the file does not say
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
    """Keep the vectors of sentences that tell a good match from a chance one."""
    db.executescript(
        """
        create table calibrations (
            collection_id integer primary key references collections(id),
            sentences text not null,  -- which: a hash of them
            vectors blob not null     -- little-endian float16, one after the other
        );
        """
    )


@MIGRATIONS()
def m004_index_state(db: Database) -> None:
    """Count embeddings as they come and go, and know what kind an index file is."""
    db.executescript(
        """
        alter table collections add column embedded integer not null default 0;
        alter table collections add column last_embedding integer not null default 0;
        alter table collections add column deletions integer not null default 0;
        update collections set (embedded, last_embedding) = (
            select count(*), coalesce(max(id), 0) from embeddings e
            where e.collection_id = collections.id
        );
        -- `insert or replace` would delete without the second trigger: delete, then insert.
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
        -- No file's size is known yet: each is made once more.
        update collections set index_file = null, index_count = 0, index_last_id = 0;
        """
    )


@MIGRATIONS()
def m005_metadata(db: Database) -> None:
    """Know more of what pictures say: index reads it anew of those that were known before."""
    db.executescript(
        """
        alter table images add column lens text;         -- null: the file does not say
        alter table images add column rating integer;    -- 1 to 5, -1: rejected; null: unrated
        alter table images add column title text;        -- null: nobody gave it one
        alter table images add column description text;  -- null: nobody gave it one
        alter table images add column date text;         -- taken_at, or the file's; null: neither
        alter table images add column date_from text;    -- exif, xmp, iptc, file; null: no date
        alter table images add column reader integer not null default 0;  -- its version then

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

        -- The .xmp files that were read, as they were then.
        create table sidecars (
            path text primary key,    -- a blob where the name is no valid UTF-8
            size integer not null,
            mtime_ns integer not null
        ) without rowid;

        -- How often rows of images were changed that were there before: who keeps them in memory
        -- reads them again.
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
            i.taken_at as taken_at,   -- ISO 8601 on the camera's clock; null: nothing says
            i.date as date,           -- taken_at, or where that is null the file's
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
    """Know the frames of videos, and the files that belong to a picture."""
    db.executescript(
        """
        -- A frame of a video is an image with no file of its own; its sha256 is made of the
        -- video's and of its time. The video's own image is listed, too: it stands for its first.
        create table frames (
            image_id integer primary key references images(id),
            video_id integer not null references images(id),
            seconds real not null     -- from the video's beginning
        );
        create index frames_video on frames(video_id);
        create table companions (
            path text primary key,    -- a blob where the name is no valid UTF-8
            of_path text not null,    -- the picture's file
            kind text not null        -- raw, or film: a Live Photo's
        ) without rowid;
        create index companions_of on companions(of_path);
        """
    )


@MIGRATIONS()
def m007_fingerprints(db: Database) -> None:
    """Keep what tells whether two pictures are the same, though their files are not."""
    db.executescript(
        """
        create table fingerprints (
            image_id integer primary key references images(id) on delete cascade,
            kind integer not null,    -- the way of making it: others are made anew
            hash integer not null,    -- 64 bits
            copy blob not null,       -- the picture, very small
            pixels text               -- SHA-256 of the upright pixels; null: not needed so far
        );
        create index fingerprints_hash on fingerprints(kind, image_id, hash);
        """
    )


@MIGRATIONS()
def m008_vectors_at(db: Database) -> None:
    """Know where vectors are besides FAISS files, and which of them know old things of images."""
    db.executescript(
        """
        -- Where the user wants a collection's vectors; null: in a FAISS file.
        alter table collections add column vectors_wanted text;

        -- Collections in Milvus. The one that collections.index_file names answers; of the others
        -- one may be filled just now, and the rest is to be dropped there.
        create table stores (
            name text primary key,    -- in Milvus
            collection_id integer not null references collections(id),
            place text not null,      -- the server or file, without secrets
            fields text not null      -- JSON list: what it knows of images
        );
        create index stores_collection on stores(collection_id);

        -- Embeddings whose image's fields have changed since they were sent.
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
