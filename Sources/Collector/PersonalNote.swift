/// A text that somebody writes into the log by another way than events.
public enum PersonalNote {
  /// The text without what is personal by its form: mail addresses, phone numbers, numbers of payment cards.
  public static func removed(from text: String) -> String { PersonalText.removed(from: text) }
}
