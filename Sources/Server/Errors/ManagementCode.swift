import HTTPTypes

/// The stable name of an error of the management API, for programs and for translations: messages may change, codes do not.
enum ManagementCode: String, Sendable, CaseIterable {
    // By status, where nothing more is known.
    case badRequest = "bad_request"
    case notLoggedIn = "not_logged_in"
    case forbidden
    case notFound = "not_found"
    case methodNotAllowed = "method_not_allowed"
    case timeout
    case conflict
    case tooLarge = "too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case tooManyRequests = "too_many_requests"
    case `internal`
    case unavailable

    // Requests.
    case invalidField = "invalid_field"
    case invalidJSON = "invalid_json"
    case otherSite = "other_site"

    // People.
    case wrongCredentials = "wrong_credentials"
    case wrongPassword = "wrong_password"
    case passwordAgain = "password_again"
    case loginThrottled = "login_throttled"
    case userDisabled = "user_disabled"
    case roleTooLow = "role_too_low"
    case ownAccount = "own_account"
    case usernameTaken = "username_taken"
    case registrationClosed = "registration_closed"

    // Redemption codes.
    case codeUnknown = "code_unknown"
    case codeUsed = "code_used"
    case codeExpired = "code_expired"
    case codeDisabled = "code_disabled"
    case codeNotForAccount = "code_not_for_account"

    // Things.
    case duplicateID = "duplicate_id"
    case changedMeanwhile = "changed_meanwhile"
    case tooManyKeys = "too_many_keys"
    case limitsNotAllowed = "limits_not_allowed"
    case tooMany = "too_many"
    case balanceLeft = "balance_left"
    case organizationRole = "organization_role"
    case organizationDisabled = "organization_disabled"
    case organizationConflict = "organization_conflict"
    case alreadyMember = "already_member"
    case invitationUnknown = "invitation_unknown"
    case invitationUsed = "invitation_used"
    case invitationExpired = "invitation_expired"
    case channelOff = "channel_off"
    case configInvalid = "config_invalid"
    case readOnly = "read_only"
    case eTagMismatch = "etag_mismatch"

    /// The code of an error that has no more specific one.
    init(_ status: HTTPResponse.Status) {
        switch status.code {
        case 401: self = .notLoggedIn
        case 403: self = .forbidden
        case 404: self = .notFound
        case 405: self = .methodNotAllowed
        case 408: self = .timeout
        case 409: self = .conflict
        case 412: self = .eTagMismatch
        case 413: self = .tooLarge
        case 415: self = .unsupportedMediaType
        case 429: self = .tooManyRequests
        case 400..<500: self = .badRequest
        case 502...504: self = .unavailable
        default: self = .internal
        }
    }

    /// When it is given, and what `details` has, in Markdown.
    var meaning: String {
        switch self {
        case .badRequest: "the request is wrong; the message says how"
        case .notLoggedIn: "no management token and no session, or one that has ended"
        case .forbidden: "the caller may not do this"
        case .notFound: "there is no such thing, or it is somebody else's"
        case .methodNotAllowed: "the path knows other methods, which `Allow` lists"
        case .timeout: "the body came too slowly"
        case .conflict: "something that is there already stands against it"
        case .tooLarge: "the body is too large"
        case .unsupportedMediaType: "`Content-Type` is not the one that the call takes"
        case .tooManyRequests: "too many requests; `Retry-After` says when the next one is taken"
        case .internal: "a mistake of the gateway"
        case .unavailable:
            "the books cannot be read or written, something further behind does not answer, or there is no room at the moment"
        case .invalidField:
            """
            a field of the body, a parameter of the query or of the path is wrong, unknown or missing; `details.field` is its name, and \
            `details.expected` a list of what is allowed: the values, or a kind (`string`, `integer`, `array`, `url`, …) with its bounds \
            (`min:1`, `max:100`, `max_bytes:200`, `max_items:50`, `not_empty`, `absent`)
            """
        case .invalidJSON: "the body is no JSON object"
        case .otherSite: "a browser sends this from another site's page"
        case .wrongCredentials: "wrong username or password, or the user is disabled"
        case .wrongPassword: "the present password is not the one that was given"
        case .passwordAgain:
            """
            the session began more than \(FreshLogin.seconds / 60) minutes ago, and this call wants the password again: log in, then \
            repeat it
            """
        case .loginThrottled: "too many tries; `Retry-After` says when the next one is looked at"
        case .userDisabled: "the caller's account is disabled"
        case .roleTooLow: "the call needs a higher role: `details.role`"
        case .ownAccount: "nobody does this to their own account"
        case .usernameTaken: "somebody has this name"
        case .registrationClosed: "`server.registration` is off"
        case .codeUnknown: "there is no such redemption code"
        case .codeUsed: "another account has redeemed the code"
        case .codeExpired: "the time in which the code could be redeemed is over"
        case .codeDisabled: "an administrator has disabled the code"
        case .codeNotForAccount:
            """
            the account's group may not redeem the code, the account has redeemed as many of its kind as it may, or it is an \
            administrator's
            """
        case .duplicateID: "the id or the name is taken"
        case .changedMeanwhile: "somebody else has changed it since it was read: read it again"
        case .tooManyKeys: "the user has as many keys as a user may have"
        case .limitsNotAllowed: "an administrator's limits stand against these"
        case .tooMany: "there are as many of them as there may be; the message says how many"
        case .balanceLeft: "there is money left: `details.balance` and `details.held`"
        case .organizationRole: "the caller's role in the organization is too low; `details.roles` has those that may"
        case .organizationDisabled: "an administrator has disabled the organization"
        case .organizationConflict: "an organization has at least one owner, and at most as many members as the message says"
        case .alreadyMember: "the caller belongs to the organization already"
        case .invitationUnknown: "there is no such invitation, or it was withdrawn"
        case .invitationUsed: "somebody has used the invitation"
        case .invitationExpired: "the invitation has expired"
        case .channelOff: "the channel is off by its configuration, so it cannot be turned on here"
        case .configInvalid:
            "the configuration is not valid; `details.diagnostics` has file, line, column, severity and message of each mistake"
        case .readOnly: "it comes from a file that this gateway does not write"
        case .eTagMismatch: "it is not the version that `If-Match` names"
        }
    }
}
