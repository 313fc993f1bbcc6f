/// The write key that a request names, where its protocol has no place of its own for it:
/// `Authorization: Basic base64(key:)`, `Authorization: Bearer key`, or `k=key` in the query.
enum WriteKeyName {
  static func find(_ input: IngestInput) -> String? {
    let field = input.header("authorization")
    if let name = BasicAuthorization.writeKey(field) ?? bearer(field), !name.isEmpty { return name }
    return QueryField.text("k", in: input.query)
  }

  /// RFC 6750 section 2.1.
  static func bearer(_ field: String?) -> String? {
    guard let field, field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else {
      return nil
    }
    return String(field.dropFirst(7))
  }
}
