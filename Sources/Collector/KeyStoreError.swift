/// Why write keys could not be read or changed. Holds no key.
public enum KeyStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The system refused an operation on a file.
  case file(operation: String, path: String, reason: String)
  /// The file is not one of write keys: where in it, and what is expected there.
  case malformed(path: String, place: String, detail: String)
  /// Another command changes the file and does not end.
  case busy(path: String)
  /// What a key is to be is not allowed.
  case invalid(field: String, detail: String)
  case duplicate(id: String)
  case unknown(id: String)
  /// It is revoked, has ended, or has a successor, so it cannot be replaced.
  case notActive(id: String, state: StoredKey.State)
  case full(max: Int)

  public var description: String {
    switch self {
    case .file(let operation, let path, let reason): "can't \(operation) \(path): \(reason)"
    case .malformed(let path, let place, let detail):
      "\(path): \(place.isEmpty ? "" : place + ": ")\(detail)"
    case .busy(let path):
      "\(path) is being changed by another command; try again when that has ended"
    case .invalid(let field, let detail): "\(field): \(detail)"
    case .duplicate(let id):
      "this key is there already, as \(id): revoke that first, or choose another value"
    case .unknown(let id): "no key has the id \(id); `smartcontent keys list` shows all"
    case .notActive(let id, let state):
      "the key \(id) is not active but \(state.rawValue): only an active key is rotated; make"
        + " another with `smartcontent keys add`"
    case .full(let max):
      "there are \(max) keys, which is the most; keys that ended go after"
        + " \(KeyStore.endedKeptDays) days"
    }
  }
}
