import Cryptography
import Events

/// Signs messages in the manner of the Standard Webhooks specification (standardwebhooks.com, "Signature
/// scheme"): HMAC-SHA256 over `id.timestamp.body`, in base 64 behind `v1,`. Of several secrets each gives a
/// signature, so that a receiver can change over from one to the next.
public struct WebhookSigner: Sendable {
  private let codes: [HMACSHA256]

  /// The specification's bounds of a secret.
  static let secretBytes = 24...64
  static let secretPrefix = "whsec_"

  /// - Parameter secrets: one or more of `whsec_…` with base 64 behind it, with spaces between them.
  public init(secrets: String) throws(WebhookSecretError) {
    var codes: [HMACSHA256] = []
    for secret in secrets.split(separator: " ") {
      guard secret.hasPrefix(Self.secretPrefix),
        let key = Base64.decode(Array(secret.utf8.dropFirst(Self.secretPrefix.utf8.count))),
        Self.secretBytes.contains(key.count)
      else { throw .malformed }
      do throws(CryptographyError) {
        codes.append(try HMACSHA256(key: key))
      } catch {
        throw .unusable("\(error)")
      }
    }
    guard !codes.isEmpty else { throw .malformed }
    self.codes = codes
  }

  /// The value of `webhook-signature`.
  ///
  /// - Parameter timestamp: seconds since the epoch, as `webhook-timestamp` has it.
  public func signature(id: String, timestamp: Int64, body: [UInt8]) -> String {
    let signed = Array("\(id).\(timestamp).".utf8) + body
    return codes.map { "v1," + Base64.encode($0.code(of: signed)) }.joined(separator: " ")
  }
}

/// Why a secret cannot be used; the secret is not in it.
public enum WebhookSecretError: Error, Hashable, Sendable, CustomStringConvertible {
  case malformed
  case unusable(String)

  public var description: String {
    switch self {
    case .malformed:
      "is not whsec_ and the base 64 of \(WebhookSigner.secretBytes.lowerBound) to"
        + " \(WebhookSigner.secretBytes.upperBound) bytes; make one with"
        + " `echo whsec_$(openssl rand -base64 32)`"
    case .unusable(let reason): "cannot be used: \(reason)"
    }
  }
}
