import CHiredis

/// An answer of the server where hiredis has put it, to be read without a copy of it; see ``RedisReply``
/// for one to keep.
///
/// Good only inside the call that gives it.
public struct RedisReplyView {
  private let raw: UnsafePointer<redisReply>

  init(_ raw: UnsafePointer<redisReply>) { self.raw = raw }

  /// A copy.
  public var reply: RedisReply { RedisConnection.reply(from: raw.pointee) }

  /// The bytes of a string; nil for anything else.
  public var bytes: UnsafeRawBufferPointer? {
    guard raw.pointee.type == REDIS_REPLY_STRING else { return nil }
    return UnsafeRawBufferPointer(start: raw.pointee.str, count: raw.pointee.len)
  }

  /// The number of elements of an array; nil for anything else.
  public var count: Int? {
    raw.pointee.type == REDIS_REPLY_ARRAY ? raw.pointee.elements : nil
  }

  /// An element of an array.
  ///
  /// - Precondition: `index` is below ``count``.
  public subscript(index: Int) -> RedisReplyView {
    precondition(index >= 0 && index < count ?? 0, "an array has elements 0 to count - 1")
    guard let element = raw.pointee.element[index] else {
      preconditionFailure("hiredis gives whole arrays")
    }
    return RedisReplyView(element)
  }

  /// This answer, or the error that stands in its place.
  public func get() throws(RedisError) -> RedisReplyView {
    if raw.pointee.type == REDIS_REPLY_ERROR { _ = try reply.get() }
    return self
  }
}
