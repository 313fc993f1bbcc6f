import Testing

@testable import Definitions

/// One mistake in one file.
struct Mistake: Sendable, CustomTestStringConvertible {
  let file: String
  let old: String
  let new: String
  let key: String
  /// What the problem's text must have.
  let says: [String]

  init(_ file: String, _ old: String, _ new: String, key: String, _ says: String...) {
    self.file = file + ".yaml"
    self.old = old
    self.new = new
    self.key = key
    self.says = says
  }

  var testDescription: String { "\(key): \(new)" }
}

@Suite("Problems in definition files")
struct ProblemTests {
  static let mistakes = [
    Mistake(
      "streams", "replicas: 1", "replicas: 2", key: "events.replicas", "is 2", "1, 3, 5"),
    Mistake("streams", "  replicas: 1", "  replica: 1", key: "events.replica", "write replicas"),
    Mistake("streams", "storage: file", "storage: memory", key: "events.storage", "file", "truth"),
    Mistake("streams", "discard: new", "discard: old", key: "events.discard", "never drops"),
    Mistake(
      "streams", "retention: limits", "retention: interest", key: "events.retention", "limits"),
    Mistake(
      "streams", "partitions: 4", "partitions: 0", key: "events.partitions", "from 1 to 100"),
    Mistake(
      "streams", "partitions: 4", "partitions: four", key: "events.partitions", "whole number"),
    Mistake("streams", "partitions: 4", "partitions:", key: "events.partitions", "is empty"),
    Mistake("streams", "4GiB", "4GB", key: "events.max_bytes", "is 4GB", "KiB"),
    Mistake("streams", "4GiB", "99999999999TiB", key: "events.max_bytes", "to 1024TiB"),
    Mistake("streams", "4GiB", "-1GiB", key: "events.max_bytes", "from 1MiB"),
    Mistake("streams", "1MiB", "64MiB", key: "events.max_message_bytes", "to 8MiB"),
    Mistake(
      "streams", "duplicate_window: 2m", "duplicate_window: 2 minutes",
      key: "events.duplicate_window", "us, ms, s, m, h, d"),
    Mistake("streams", "name: events-NN", "name: events", key: "events.name", "NN once"),
    Mistake("streams", "name: events-NN", "name: events.NN", key: "events.name", "A-Z"),
    Mistake(
      "streams", "name: dead-letters", "name: events-03", key: "dead_letters.name",
      "also the name"),
    Mistake(
      "streams", "[\"{name}\"]", "[\"events.>\"]", key: "events.subjects", "own name"),
    Mistake(
      "streams", "[\"{name}.>\"]", "[\"{name}\"]", key: "facts.subjects", "write [\"{name}.>\"]"),
    Mistake(
      "streams", "name: facts", "name: dead-letters", key: "facts.name", "also the name"),
    Mistake("streams", "subjects: [\"{name}\"]", "subjects: x", key: "events.subjects", "list"),
    Mistake("streams", "dead_letters:", "dead_leters:", key: "dead_leters", "write dead_letters"),
    Mistake(
      "pipelines", "allowed_lateness: 1h", "allowed_lateness: never",
      key: "pipelines.recent.allowed_lateness", "unlimited"),
    Mistake(
      "pipelines", "dedupe_horizon: 24h", "dedupe_horizon: 1s",
      key: "pipelines.default.dedupe_horizon", "from 1m to 90d"),
    Mistake("pipelines", "  recent:", "  Recent:", key: "pipelines.Recent", "a-z"),
    Mistake("pipelines", "  default:", "  normal:", key: "pipelines.default", "is missing"),
    Mistake(
      "pipelines", "    version: 1", "    verison: 1", key: "pipelines.default.verison",
      "write version"),
    Mistake(
      "pipelines", "window_grace: 60s", "window_grace: [60s]",
      key: "pipelines.default.window_grace", "is a list"),
    Mistake(
      "streams", "name: dead-letters", "name: partials-x", key: "dead_letters.name",
      "not beginning with partials-"),
    Mistake("streams", "partials:", "partial:", key: "partials", "is missing"),
    Mistake(
      "streams", "max_bytes: 2GiB", "max_bytes: 2GB", key: "partials.max_bytes", "is 2GB"),
    Mistake(
      "pipelines", "session_gap: 30m", "session_gap: 0s",
      key: "pipelines.default.persons.session_gap",
      "from 1s to 1d"),
    Mistake(
      "pipelines", "click_look_back: 7d", "click_lookback: 7d",
      key: "pipelines.default.persons.click_lookback", "write click_look_back"),
    Mistake(
      "pipelines", "      lateness: 24h\n", "", key: "pipelines.default.persons.lateness",
      "is missing"),
    Mistake(
      "pipelines", "allowed_lateness: unlimited", "allowed_lateness: 1h",
      key: "pipelines.default.persons.lateness", "more than allowed_lateness", "at most 1h"),
    Mistake(
      "pipelines", "count_max: 1000000\n", "count_max: 0\n",
      key: "pipelines.default.persons.count_max", "whole number"),
    Mistake(
      "pipelines", "    persons:", "    person:", key: "pipelines.default.person", "write persons"),
    Mistake(
      "pipelines", "outcome_window: 1h", "outcome_window: 0s",
      key: "pipelines.default.experiments.outcome_window", "from 1s to 90d"),
    Mistake(
      "pipelines", "memory: 90d", "memory: 30m", key: "pipelines.default.experiments.memory",
      "less than outcome_window", "at least 1h"),
    Mistake(
      "pipelines", "look_back: 7d\n      # How long a person", "# How long a person",
      key: "pipelines.default.experiments.look_back", "is missing"),
    Mistake(
      "pipelines", "allowed_lateness: 1h",
      "allowed_lateness: 1h\n    experiments: {outcome_window: 1h, look_back: 1d, memory: 9d}",
      key: "pipelines.recent.experiments", "needs persons", "add persons"),
    Mistake(
      "pipelines", "window: 5m", "window: 305s", key: "pipelines.default.trends.window",
      "is 305s and slide is 10s", "write 5m"),
    Mistake(
      "pipelines", "slide: 10s", "slide: 1500ms", key: "pipelines.default.trends.slide",
      "a multiple of 1s"),
    Mistake(
      "pipelines", "window: 5m", "window: 1d", key: "pipelines.default.trends.window",
      "at most 3600 of them", "write 10h"),
    Mistake(
      "pipelines", "retention: 48h", "retention: 5m", key: "pipelines.default.trends.retention",
      "at least 10m"),
    Mistake(
      "pipelines", "bin: 5m", "bin: 65s", key: "pipelines.default.anomalies.bin", "is 65s",
      "a multiple of trends.slide, 10s"),
    Mistake(
      "pipelines", "by: [campaign, content]", "by: [campaign, channel]",
      key: "pipelines.default.anomalies.by", "has channel", "campaign, content"),
    Mistake(
      "pipelines", "threshold: 5.2", "threshold: 13", key: "pipelines.default.anomalies.threshold",
      "a number from 1 to 12"),
    Mistake(
      "pipelines", "keys_max: 2000", "key_max: 2000",
      key: "pipelines.default.anomalies.key_max", "write keys_max"),
    Mistake(
      "event-mapping", "Content Clicked: click", "Content Clicked: clik",
      key: "segment.events.Content Clicked", "write click", "impression, view, click"),
    Mistake(
      "event-mapping", "page: view", "pages: view", key: "segment.calls.pages", "write page"),
    Mistake(
      "event-mapping", "campaign: [campaign_id,", "site: [campaign_id,",
      key: "segment.dimensions.site", "campaign, content, variant, channel"),
    Mistake(
      "event-mapping", "[channel]", "[content_id]", key: "segment.dimensions.channel",
      "another line"),
    Mistake(
      "event-mapping", "[revenue, value]", "[value, value]", key: "segment.revenue", "twice"),
    Mistake(
      "event-mapping", "default_currency: USD", "default_currency: dollars",
      key: "segment.default_currency", "ISO 4217"),
    Mistake("bots", "version: 2", "version: 0", key: "version", "from 1 to 65535"),
    Mistake(
      "bots", "deciding: [crawler, headless", "deciding: [crawlers, headless", key: "deciding",
      "has crawlers", "write crawler"),
    Mistake("bots", "  monitoring: [", "  monitor: [", key: "agents.monitor", "write monitoring"),
    Mistake("bots", "crawler: [googlebot", "crawler: [x", key: "agents.crawler", "has x"),
    Mistake(
      "bots", "crawler: [googlebot", "crawler: [\"*b\"", key: "agents.crawler", "has *b"),
    Mistake(
      "bots", "crawler: [googlebot", "crawler: [\"cub*t\"", key: "agents.crawler", "has cub*t"),
    Mistake("event-mapping", "\nsegment:", "\nsegments:", key: "segments", "write segment"),
  ]

  @Test("a mistake is named with file, line, what is allowed and the fix", arguments: mistakes)
  func mistake(_ mistake: Mistake) throws {
    let fixture = try Fixture()
    let line = try fixture.replace(mistake.file, mistake.old, with: mistake.new)
    let problems = Definitions.check(folder: fixture.folder)
    let problem = try #require(
      problems.first { $0.key == mistake.key }, "\(problems.map(\.description))")
    #expect(problem.file == "\(fixture.folder)/\(mistake.file)")
    #expect(!problem.allowed.isEmpty && !problem.fix.isEmpty)
    for text in mistake.says { #expect(problem.description.contains(text), "\(problem)") }
    // A missing key and a clash are reported where their section starts, a relation at one of its ends.
    let isElsewhere = ["missing", "also the name", "more than allowed_lateness"].contains {
      problem.what.contains($0)
    }
    #expect(isElsewhere || abs(problem.line - line) <= 1, "\(problem) is not near line \(line)")
    #expect(throws: DefinitionsError.self) { try Definitions(folder: fixture.folder) }
  }

  @Test("all problems of all files come at once")
  func manyProblems() throws {
    let fixture = try Fixture()
    try fixture.replace("streams.yaml", "storage: file", with: "storage: disk")
    try fixture.replace("streams.yaml", "generation: 1", with: "generation: 0")
    try fixture.replace("pipelines.yaml", "allowed_disorder: 5s", with: "allowed_disorder: 5")
    try fixture.replace("event-mapping.yaml", "unmapped: custom", with: "unmapped: none")
    let keys = Definitions.check(folder: fixture.folder).map(\.key)
    #expect(
      Set(keys) == [
        "events.storage", "events.generation", "pipelines.default.allowed_disorder",
        "segment.unmapped",
      ])
  }

  @Test(
    "a file that is no YAML mapping is refused with its line",
    arguments: [
      ("events: [", "not YAML"), ("", "is empty"), ("- a\n- b", "not a mapping"),
      ("events: {a: 1}\nevents: {a: 1}", "more than once"), ("a: b: c", "not YAML"),
      ("\u{feff}\u{0}", "not YAML"), ("x: *y", "not YAML"),
    ])
  func notYAML(text: String, says: String) throws {
    let fixture = try Fixture()
    try fixture.write("streams.yaml", text)
    let problems = Definitions.check(folder: fixture.folder)
    #expect(problems.contains { $0.what.contains(says) }, "\(problems.map(\.description))")
  }

  @Test("a missing file is a problem that says what to do")
  func missingFile() {
    let problems = Definitions.check(folder: "/nonexistent")
    #expect(problems.count == 3)
    #expect(problems.allSatisfy { $0.description.contains("--streams") })
  }
}
