import Cryptography
import Events

/// Encrypts what is personal in one event.
///
/// Of one thread.
final class PayloadSealer {
  let key: PersonKey
  private let binding: PersonKey.Binding
  private(set) var sealed = 0

  init(_ key: PersonKey, _ binding: PersonKey.Binding) {
    self.key = key
    self.binding = binding
  }

  /// The text that stands in the place of a value. Where it cannot be encrypted it is removed: it must not
  /// stay.
  ///
  /// - Parameter place: of the value in its event.
  func seal(
    _ kind: Removed, _ value: UnsafeRawBufferPointer, isJSON: Bool, at place: String
  ) -> [UInt8] {
    do throws(CryptographyError) {
      let opened = PersonKey.Opened(place: place, isJSON: isJSON, value: Array(value))
      let text = try key.seal(kind, opened, binding).text
      sealed += 1
      return text
    } catch {
      return Array(kind.rawValue.utf8)
    }
  }
}
