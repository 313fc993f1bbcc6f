/// A rejected event as it is kept in a frame of dead letters.
///
/// It travels in the columns of an ordinary event: kind `custom`, the reason's code as name, and
/// this record as payload, so that one codec serves both.
public struct DeadLetter: Hashable, Sendable {
  /// A stable code, such as `event_too_large`.
  public var code: String
  /// What was expected and what to do about it.
  public var detail: String
  /// Where: protocol and place, such as `segment /v1/batch batch[3].event`.
  public var place: String
  /// The rejected bytes, at most 32 KiB of them.
  public var body: [UInt8]

  public init(code: String, detail: String, place: String, body: [UInt8]) {
    self.code = code
    self.detail = detail
    self.place = place
    self.body = body
  }
}
