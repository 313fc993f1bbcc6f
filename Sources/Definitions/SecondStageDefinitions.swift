import Views

/// Reads what a pipeline computes beyond counting: its sections `persons` and `trends`. A pipeline
/// without a section does not compute what it declares.
enum SecondStageDefinitions {
  private static let second: Int64 = 1_000_000
  private static let hour: Int64 = 3_600_000_000
  private static let day = 24 * hour
  /// Each slide is a pane in memory per tuple.
  private static let paneCountMax: Int64 = 3600

  /// - Parameter eventLateness: the pipeline's `allowed_lateness`, where it has a limit.
  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func persons(_ pipeline: Section, eventLateness: Int64?) -> PersonPolicy? {
    guard
      let section = pipeline.section(
        "persons",
        keys: ["session_gap", "click_look_back", "impression_look_back", "lateness", "count_max"])
    else { return nil }
    let gap = section.duration("session_gap", second...day)
    let click = section.duration("click_look_back", second...(90 * day))
    let impression = section.duration("impression_look_back", second...(90 * day))
    let lateness = section.duration("lateness", 0...(30 * day))
    let count = section.integer("count_max", 1...100_000_000)
    guard let gap, let click, let impression, let lateness, let count else { return nil }
    if let eventLateness, lateness > eventLateness {
      note(
        section, "lateness", "is more than allowed_lateness",
        allowed: "at most \(Quantity.text(micros: eventLateness)), the pipeline's allowed_lateness",
        fix: "lower it: later events do not count at all")
      return nil
    }
    return PersonPolicy(
      sessionGap: gap, clickLookBack: click, impressionLookBack: impression, lateness: lateness,
      personCountMax: count)
  }

  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func trends(_ pipeline: Section) -> TrendPolicy? {
    guard let section = pipeline.section("trends", keys: ["window", "slide", "retention"])
    else { return nil }
    let slide = section.duration("slide", second...day)
    let size = section.duration("window", second...(7 * day))
    let retention = section.duration("retention", second...(3650 * day))
    guard let size, let slide, let retention else { return nil }
    if slide % second != 0 {
      note(
        section, "slide", "is \(Quantity.text(micros: slide))", allowed: "a multiple of 1s",
        fix: "write 1s, 10s or 1m")
      return nil
    }
    guard size % slide == 0, size / slide <= paneCountMax else {
      let text = Quantity.text(micros: slide)
      note(
        section, "window", "is \(Quantity.text(micros: size)) and slide is \(text)",
        allowed: "a multiple of slide, at most \(paneCountMax) of them",
        fix: "write \(Quantity.text(micros: min(max(1, size / slide), paneCountMax) * slide)),"
          + " or another slide")
      return nil
    }
    guard retention >= 2 * size else {
      note(
        section, "retention", "is \(Quantity.text(micros: retention))",
        allowed: "at least \(Quantity.text(micros: 2 * size)), two windows",
        fix: "raise it: a trend compares a window with the one before it")
      return nil
    }
    return TrendPolicy(size: size, slide: slide, retention: retention)
  }

  private static func note(
    _ section: Section, _ name: String, _ what: String, allowed: String, fix: String
  ) {
    section.problems.add(
      line: section[name].map(section.line(of:)) ?? section.line, key: section.path(name),
      what: what, allowed: allowed, fix: fix)
  }
}
