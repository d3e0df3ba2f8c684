-- Checks the partner's signature and renames the fields of its body.
local ffi = require "ffi"
local cjson = require "cjson.safe"
local state = package.loaded.translate_state
if not state then
    ffi.cdef [[
        typedef struct evp_md_st EVP_MD;
        const EVP_MD *EVP_sha256(void);
        unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *d,
                            size_t n, unsigned char *out, unsigned int *out_len);
    ]]
    local crypto = ffi.load("libcrypto.so.3")
    local hex = {}
    for i = 0, 255 do hex[i] = string.format("%02x", i) end
    state = {
        zone = os.time() - os.time(os.date("!*t")), crypto = crypto, md = crypto.EVP_sha256(), out = ffi.new("unsigned char[32]"), hex = hex,
        names = {
            email = "mail", firstName = "given_name", lastName = "family_name", dateOfBirth = "birth_date",
            addressLine1 = "address_1", addressLine2 = "address_2", city = "town", postalCode = "postal_code",
            province = "region", country = "country_code", occupation = "job", isCiroAffiliate = "ciro",
        },
    }
    package.loaded.translate_state = state
end

local key, secret = "demo-partner-key", "demo-partner-secret"
local headers = ngx.req.get_headers()
local stamp, given = headers["x-request-timestamp"], headers["x-request-signature"]
if headers["x-api-key"] ~= key or not stamp or not given then return ngx.exit(401) end
local year, month, day, hour, min, sec = stamp:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)Z$")
if not year then return ngx.exit(401) end
local at = os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec } + state.zone
if math.abs(ngx.time() - at) > 60 then return ngx.exit(401) end
ngx.req.read_body()
local body = ngx.req.get_body_data() or ""
local text = ngx.req.get_method() .. "\n" .. ngx.var.request_uri .. "\n" .. stamp .. "\n" .. body
state.crypto.HMAC(state.md, secret, #secret, text, #text, state.out, nil)
local digits = {}
for i = 0, 31 do digits[i + 1] = state.hex[state.out[i]] end
if table.concat(digits) ~= given then return ngx.exit(401) end
if body ~= "" then
    local fields = cjson.decode(body)
    if type(fields) ~= "table" then return ngx.exit(400) end
    local renamed = {}
    for name, value in pairs(fields) do
        local known = state.names[name]
        if not known then return ngx.exit(400) end
        renamed[known] = value
    end
    ngx.req.set_body_data(cjson.encode(renamed))
end
