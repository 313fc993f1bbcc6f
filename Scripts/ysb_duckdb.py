"""The Yahoo Streaming Benchmark in DuckDB: views per campaign and 10 s window from JSON lines.

    ysb_duckdb.py LINES ADS THREADS

LINES is the file of events, ADS a CSV of ad_id,campaign. Writes one line per row, `campaign window_ms
views`, and last `# wall_seconds cpu_seconds version`: the query alone, without starting Python.
"""

import resource
import sys
import time

import duckdb


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    lines, ads, threads = sys.argv[1:4]
    database = duckdb.connect(config={"threads": int(threads)})
    database.execute(f"create table ads as from read_csv('{ads}', all_varchar = true)")
    wall, cpu = time.perf_counter(), cpu_seconds()
    rows = database.execute(
        f"""
        select campaign, event_time // 10000 * 10000 as start, count(*)
        from read_json('{lines}', format = 'newline_delimited', columns = {{
               ad_id: 'VARCHAR', event_type: 'VARCHAR', event_time: 'BIGINT'}})
        join ads using (ad_id)
        where event_type = 'view'
        group by all
        """
    ).fetchall()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    for campaign, start, views in rows:
        print(campaign, start, views)
    print("#", wall, cpu, duckdb.__version__)


main()
