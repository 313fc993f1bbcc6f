public import Events

/// Where the keys of persons are kept: for each person at most one, as bytes that only the collectors'
/// secret opens. What is erased here is gone for ever, and with it whatever was encrypted with it.
///
/// Calls block, for some seconds at most, and come from any thread.
public protocol PersonKeyStore: AnyObject, Sendable {
  /// Stores the key of each person who has none; who has one keeps it. Of several who do that at once for one
  /// person all get the same.
  ///
  /// - Parameter wanted: of each person one.
  /// - Returns: for each what is durable now, in the same order.
  /// - Throws: where nothing is known of any of them.
  func settle(
    _ wanted: [StoredPersonKey]
  ) throws(PersonKeyError) -> [Result<StoredPersonKey, PersonKeyError>]

  /// The key of a person; nil where there is none, or it was erased.
  func key(of person: Key128) throws(PersonKeyError) -> StoredPersonKey?

  /// Erases the key so that nobody can read it any more, not from the store's files either.
  ///
  /// - Returns: whether there was one.
  func erase(_ person: Key128) throws(PersonKeyError) -> Bool

  /// What erasures are heard by; used by one thread.
  func erasures() -> any PersonKeyErasures
}

/// Tells which keys were erased since it was asked last.
public protocol PersonKeyErasures: AnyObject {
  /// Waits for at most `timeoutMs`.
  func next(timeoutMs: Int) -> PersonKeyNews
}

public enum PersonKeyNews: Hashable, Sendable {
  /// Nothing, or nothing is known: the store cannot be reached.
  case none
  case erased([Key128])
  /// Some erasures may have been missed: any key that is remembered may be of no use.
  case uncertain
}

/// A key as it is stored.
public struct StoredPersonKey: Hashable, Sendable {
  public var person: Key128
  /// Of its keeper alone; at most ``byteCountMax``, and never none.
  public var bytes: [UInt8]

  public static let byteCountMax = 1024

  public init(person: Key128, bytes: [UInt8]) {
    self.person = person
    self.bytes = bytes
  }
}

public enum PersonKeyError: Error, Hashable, Sendable {
  /// Not now: try again.
  case unavailable(String)
  /// There is no room for the keys of further persons.
  case full(String)
  /// It will never work.
  case refused(String)
}

extension PersonKeyError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unavailable(let reason), .full(let reason), .refused(let reason): reason
    }
  }
}
