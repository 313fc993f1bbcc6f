"""Panels of Grafana 11 as plain values, with the one look that all boards share.

https://grafana.com/docs/grafana/v11.5/dashboards/build-dashboards/view-dashboard-json-model/
"""

PROMETHEUS = {"type": "prometheus", "uid": "smartcontent-prometheus"}
POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "smartcontent-postgres"}

GRID_WIDTH = 24


# --- Thresholds. Lists of (from this value on, colour); the first has no lower end.

GOOD = [(None, "green")]


def worse(warning, critical=None):
    """Green, orange from `warning` on, red from `critical` on."""
    steps = [(None, "green"), (warning, "orange")]
    return steps + ([(critical, "red")] if critical is not None else [])


def better(critical, warning):
    """Red, orange from `critical` on, green from `warning` on."""
    return [(None, "red"), (critical, "orange"), (warning, "green")]


def _thresholds(steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


# --- Queries


def quantiles(histogram, selector="", by=""):
    """Median and 99th percentile of a histogram over the shown resolution."""
    labels = "le" + (f", {by}" if by else "")
    rate = f"sum by ({labels}) (rate({histogram}_bucket{{{selector}}}[$__rate_interval]))".replace("{}", "")
    suffix = f"{{{{{by}}}}} " if by else ""
    return {
        f"{suffix}median": f"histogram_quantile(0.5, {rate})",
        f"{suffix}99th percentile": f"histogram_quantile(0.99, {rate})",
    }


def _prometheus_targets(queries, instant):
    return [
        {
            "refId": chr(ord("A") + place),
            "datasource": PROMETHEUS,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend,
            "range": not instant,
            "instant": instant,
            "format": "table" if instant else "time_series",
        }
        for place, (legend, expression) in enumerate(queries.items())
    ]


def _postgres_target(sql, kind):
    lines = [line.strip() for line in sql.strip().splitlines()]
    return [
        {
            "refId": "A",
            "datasource": POSTGRES,
            "editorMode": "code",
            "rawQuery": True,
            "rawSql": "\n".join(lines),
            "format": kind,
        }
    ]


# --- Panels. Without a place: a board sets them out in rows.


def _panel(kind, title, description, size, source, targets, unit, options, custom, **more):
    defaults = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}}
    defaults["thresholds"] = _thresholds(more.get("thresholds", GOOD))
    for key in ("min", "max", "decimals"):
        if key in more:
            defaults[key] = more[key]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "options": options,
        "gridPos": {"w": size[0], "h": size[1]},
    }


def stat(title, description, expression, unit="short", width=4, thresholds=GOOD, **more):
    """The newest value of one query, coloured by its thresholds."""
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    targets = _prometheus_targets({title: expression}, False)
    panel = _panel(
        "stat", title, description, (width, 4), PROMETHEUS, targets, unit, options, {},
        thresholds=thresholds, **more,
    )
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "thresholds"}
    return panel


def lines(title, description, queries, unit="short", width=6, height=8, thresholds=None, **more):
    """Lines over time: PromQL by legend, or one SQL text with the columns time, metric and values."""
    is_sql = isinstance(queries, str)
    custom = {
        "drawStyle": more.pop("style", "line"),
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 10,
        "showPoints": "never" if not is_sql else "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if more.pop("stacked", False) else "none"},
        "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
        "axisPlacement": "auto",
        "axisSoftMin": 0,
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel(
        "timeseries", title, description, (width, height), POSTGRES if is_sql else PROMETHEUS,
        _postgres_target(queries, "time_series") if is_sql else _prometheus_targets(queries, False),
        unit, options, custom, thresholds=thresholds or GOOD, **more,
    )


def bars(title, description, sql, unit="short", width=8, height=8, **more):
    """A bar for each row of an SQL query, whose first column names it."""
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
        "orientation": "auto",
        "showValue": "auto",
        "stacking": "none",
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 0,
        "groupWidth": 0.7,
        "barWidth": 0.9,
    }
    custom = {"fillOpacity": 80, "lineWidth": 1, "axisPlacement": "auto", "axisSoftMin": 0}
    return _panel(
        "barchart", title, description, (width, height), POSTGRES, _postgres_target(sql, "table"), unit,
        options, custom, **more,
    )


def table(title, description, query, width=12, height=9, units=None, links=None, **more):
    """Rows of SQL, or the labels of a PromQL expression. `units` and `links` go by the name of a column."""
    overrides = []
    for column, unit in (units or {}).items():
        overrides.append({"matcher": {"id": "byName", "options": column}, "properties": [{"id": "unit", "value": unit}]})
    for column, (name, url) in (links or {}).items():
        overrides.append(
            {
                "matcher": {"id": "byName", "options": column},
                "properties": [{"id": "links", "value": [{"title": name, "url": url, "targetBlank": False}]}],
            }
        )
    is_sql = not more.pop("promql", False)
    options = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"], "fields": ""}}
    return _panel(
        "table", title, description, (width, height), POSTGRES if is_sql else PROMETHEUS,
        _postgres_target(query, "table") if is_sql else _prometheus_targets({title: query}, True), "short",
        options, {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
        overrides=overrides, **more,
    )


def unit_of(legend, unit):
    """A line with a unit of its own, on the right-hand axis."""
    return {
        "matcher": {"id": "byRegexp", "options": legend},
        "properties": [{"id": "unit", "value": unit}, {"id": "custom.axisPlacement", "value": "right"}],
    }


# --- Variables


def pipeline():
    query = "label_values(smartcontent_partition_running, pipeline)"
    return _variable("pipeline", "Pipeline", PROMETHEUS, {"query": query, "refId": "pipeline"}, query, many=True)


def site():
    sql = "select distinct site from smartcontent.dimensions order by 1"
    return _variable("site", "Site", POSTGRES, sql, sql, value="default")


def campaign(many=True):
    sql = (
        "select distinct campaign from smartcontent.dimensions"
        " where site = ${site:sqlstring} and campaign <> '' order by 1"
    )
    return _variable("campaign", "Campaign", POSTGRES, sql, sql, many=many)


def query_variable(name, label, sql):
    """One value of an SQL query."""
    return _variable(name, label, POSTGRES, sql, sql)


def _variable(name, label, source, query, definition, many=False, value=None):
    variable = {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": source,
        "query": query,
        "definition": definition,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "multi": many,
        "includeAll": many,
        "skipUrlSync": False,
        "options": [],
        "current": {},
    }
    if many:
        variable["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    elif value is not None:
        variable["current"] = {"selected": True, "text": value, "value": value}
    return variable


# --- Boards


def board(name, title, description, rows, variables=(), since="now-1h", refresh="10s"):
    """`rows` maps titles to panels, which are set out from left to right, line by line."""
    panels = []
    y = 0
    for row_title, content in rows.items():
        panels.append(
            {
                "type": "row",
                "title": row_title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"w": GRID_WIDTH, "h": 1, "x": 0, "y": y},
            }
        )
        y += 1
        x = height = 0
        for panel in content:
            place = panel["gridPos"]
            if x + place["w"] > GRID_WIDTH:
                y, x, height = y + height, 0, 0
            place.update(x=x, y=y)
            x += place["w"]
            height = max(height, place["h"])
            panels.append(panel)
        y += height
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": f"smartcontent-{name}",
        "title": f"SmartContent / {title}",
        "description": description,
        "tags": ["smartcontent"],
        "editable": False,
        "schemaVersion": 39,
        "version": 1,
        "timezone": "browser",
        "graphTooltip": 1,
        "refresh": refresh,
        "time": {"from": since, "to": "now"},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "SmartContent",
                "tags": ["smartcontent"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": list(variables)},
        "panels": panels,
    }
