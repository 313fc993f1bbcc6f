/// What stands in an event in the place of personal data that the edge took out. Part of the log, for ever.
public enum Removed: String, CaseIterable, Sendable {
  case mail = "[mail]"
  case phone = "[phone]"
  case card = "[card]"
  case other = "[removed]"
}
