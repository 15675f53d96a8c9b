"""Keys as the openssl command wrote them, under every method it has, so that no test needs the command."""

import pytest

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from tests.fakes.certificates import NOW

# one Ed25519 key; the passphrase is "open sesame"
PLAIN = "MC4CAQAwBQYDK2VwBCIEIDNnCOKs1sve4HKGZ9oEf8jujLDwncX1Zmk6McSpdJkj"
SAMPLES = {
    "PBE-MD5-DES": (
        "MFcwGwYJKoZIhvcNAQUDMA4ECLnCLeGth5LgAgIIAAQ4+IoWRmY64zLlO7hPrPjyIlYwaCUsCV63rJ5g"
        "vk5xuQX1NCO1MPpFmO5ujwrdejrj3PE1uT4fKJA="
    ),
    "PBE-MD5-RC2-64": (
        "MFcwGwYJKoZIhvcNAQUGMA4ECBy1HErxiqoKAgIIAAQ4hpKTR7vQMln8PFreKqF9l/KzNoNCPXZNCn5m"
        "fpmFq7gwTYrxfeyXFqkxrkucSikWmQfa2+redLk="
    ),
    "PBE-SHA1-DES": (
        "MFcwGwYJKoZIhvcNAQUKMA4ECMSZW9t+sVBLAgIIAAQ4lroA8zi/uROH20NvS95FxTxiIA577NbqDuy4"
        "lGnstBFgHbeYD7zPhjS/V25HpGCv5FAK7GCjjjo="
    ),
    "PBE-SHA1-RC2-64": (
        "MFcwGwYJKoZIhvcNAQULMA4ECJSYNPs9yNRSAgIIAAQ4kpWOVG8/QikX7PPM/AMx//PAM6hwxHfIQnfq"
        "YQJzwRg1VtwILhsO22YHzuFhWux2sauBoCE6zkA="
    ),
    "PBE-SHA1-RC4-128": (
        "MFAwHAYKKoZIhvcNAQwBATAOBAjn90PLmTROsgICCAAEMLCtIjGYlAVxqhYv60Yf3YHxuoE2VyWlhAPe"
        "zzQ1/escrFEDsr8XXmtPju930/QOag=="
    ),
    "PBE-SHA1-RC4-40": (
        "MFAwHAYKKoZIhvcNAQwBAjAOBAgUymytMKXxbAICCAAEMN8pdQ0/aIsN4R+3Ym1ZKVRxOgzEPfC3Vs1a"
        "4tjtw48ARhzMY3aDBHZmEibsZ2IgwQ=="
    ),
    "PBE-SHA1-3DES": (
        "MFgwHAYKKoZIhvcNAQwBAzAOBAj0pbZCgvWKJAICCAAEOCznSi681nf0lHL6Q/nOedqEQ9cSwShJNmKN"
        "59f8sCbtnwhxlZJYFoez/2MBvTQkdx2oT00Rf6ot"
    ),
    "PBE-SHA1-2DES": (
        "MFgwHAYKKoZIhvcNAQwBBDAOBAjUhfNd2sckHQICCAAEOAkY4g9tWOMUlhzyiV/OcVrMjeivEZp3uar8"
        "BVWOK9Q98qN2d62uyOWcnuRlkyC2EwOCg1nLwdKW"
    ),
    "PBE-SHA1-RC2-128": (
        "MFgwHAYKKoZIhvcNAQwBBTAOBAgM9gQgX7CN8AICCAAEOLOiIB9pSqMPjwdl6dxYXQQh5mJbNkfsNj5X"
        "98xPJ812MkZV/tcQ0A/d14i1cq3+NMPwBbldz1PO"
    ),
    "PBE-SHA1-RC2-40": (
        "MFgwHAYKKoZIhvcNAQwBBjAOBAgHoNcmcm3K4wICCAAEOAnNeNADihkUSdS/NJO7+lASvzFGhywAUHM4"
        "exAIVmn65Hi/wYdaRHA+o/Mb6DwqOgj40O/+vpXQ"
    ),
    "aes-128-cbc": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgPefwt9hMVeQICCAAwDAYIKoZIhvcNAgkF"
        "ADAdBglghkgBZQMEAQIEEMNYdLT0Ctu3beix7sGpiT0EQN1oW895Ry+uYlTNJKnerd+ejOmxfIzIH2xk"
        "BhKrt48nUrKBRwcKMF9wNmHjU6/zMqelP36FvQiAXuOD0dLRwOw="
    ),
    "aes-192-cbc": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgqtqFXa973PAICCAAwDAYIKoZIhvcNAgkF"
        "ADAdBglghkgBZQMEARYEEL/rHD5j4yGM4ip8pgon5cEEQMstRNSVpnVnkjQ3yKdFlDECCeGtNmGH0pe8"
        "m/Rl6pHto6FGGYxqx9uMEKBYwE4iGFD5RCyC4vlqADkZXtzM5Wk="
    ),
    "aes-256-cbc": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgYmH2Btby2tQICCAAwDAYIKoZIhvcNAgkF"
        "ADAdBglghkgBZQMEASoEEDywukATjaS1h8h1XOqFhMcEQJncbmvbywLdkuoeKBTXHgwUJhXW2L5LsMQj"
        "IV9qkuJJvP3vUhs1Yrqa6qUCp1IR/Ooaass2AlBEAXgCJiubJPU="
    ),
    "des3": (
        "MIGKME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAgwNK+V1dA9EAICCAAwDAYIKoZIhvcNAgkF"
        "ADAUBggqhkiG9w0DBwQIoipQshfiO54EOP8botDuhpkxXnm9EiTzMyqxtn66mfCwSir9cME5BMAoNgfT"
        "3beH5z3w2um/c+dRKAtI/iGr5+kM"
    ),
    "des": (
        "MIGHMEsGCSqGSIb3DQEFDTA+MCkGCSqGSIb3DQEFDDAcBAgV5R2TRgy18wICCAAwDAYIKoZIhvcNAgkF"
        "ADARBgUrDgMCBwQIH/Zt6Cv6SP0EOPQHZJH6O4I1kK5uuA+j31waK6UZBPj+TCqyERkwTNzYe+BtIIhu"
        "MavBBC2K4ahk8jfQ/olqqviX"
    ),
    "rc2": (
        "MIGSMFYGCSqGSIb3DQEFDTBJMCwGCSqGSIb3DQEFDDAfBAgO/2izcuQeSQICCAACARAwDAYIKoZIhvcN"
        "AgkFADAZBggqhkiG9w0DAjANAgE6BAiWYEC7AajAzQQ4dqlp34cTGrYYzTQqqFGaVX5wvINveG8xMJ2Z"
        "KwD/Y7BjKDSksO3L8Xs3l/oazlS9z2LPoW+4DVA="
    ),
    "rc2-40-cbc": (
        "MIGTMFcGCSqGSIb3DQEFDTBKMCwGCSqGSIb3DQEFDDAfBAjFYw/DcXxWQwICCAACAQUwDAYIKoZIhvcN"
        "AgkFADAaBggqhkiG9w0DAjAOAgIAoAQI6VOx82G97iQEOJAC+TzVAZEeo3zZ3fmyZNB9GTvNrfOmLpfH"
        "NljwT/7/THRtAQjTEtK18zBKnaI7TTaaQFyo/yne"
    ),
    "rc2-64-cbc": (
        "MIGSMFYGCSqGSIb3DQEFDTBJMCwGCSqGSIb3DQEFDDAfBAh1LlL5RHERfQICCAACAQgwDAYIKoZIhvcN"
        "AgkFADAZBggqhkiG9w0DAjANAgF4BAhrRvG51E9EUQQ4HvKMqHt/YBiJfMr6eF1HUsErvZBm+wRDB/YZ"
        "Z9V7OPVJ4KXLmM+RfC+1KE0tZVgDwJb6qZSXIjE="
    ),
    "camellia256": (
        "MIGdMFkGCSqGSIb3DQEFDTBMMCkGCSqGSIb3DQEFDDAcBAhTCnKo7PBtbgICCAAwDAYIKoZIhvcNAgkF"
        "ADAfBgsqgwiMmks9AQEBBAQQBr1aGSL9vieZNl4SZInbZQRAgexmYjIfMQ62qJNRAfXaHngayl5jjsO1"
        "2uvUoHTGEHIVRuYMSru2zVBvlUILwnQBqjE4H31qmvYld+ulzRiKcQ=="
    ),
    "seed": (
        "MIGaMFYGCSqGSIb3DQEFDTBJMCkGCSqGSIb3DQEFDDAcBAgXOhUGLU/e2gICCAAwDAYIKoZIhvcNAgkF"
        "ADAcBggqgxqMmkQBBAQQl1ZLc/0UFXCQ4BtgwxrkxQRAwYmWA1J4xlLDL42vb/5pVLR61WbJZVM2NYqt"
        "qvYf6XC26QlNU4B7mxSZSL9t0t/v/y6b984lWX6aoTDOZR9tcw=="
    ),
    "sm4": (
        "MIGaMFYGCSqGSIb3DQEFDTBJMCkGCSqGSIb3DQEFDDAcBAgIv3RV+vrelQICCAAwDAYIKoZIhvcNAgkF"
        "ADAcBggqgRzPVQFoAgQQss1WhQq6RrSzYG/1CrwNrARAR741NUiYwuUxTuLmVEdemxshtpE3WM3mzSeT"
        "YNFQXhnf1/JmPhrhMVYpVE6AxE4WkrfeQoHRqKcSKeVKw96akQ=="
    ),
    "hmacWithSHA1": (
        "MIGNMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAjdNC+PtmpwgAICCAAwHQYJYIZIAWUDBAEq"
        "BBACsQN2W9e3AcdeD+TKX7rQBEDwZojSEFUlBHdDITb5CYE7BiKejIap8QTFNdmoSLuIwm32xAx1PDGb"
        "9ZdCd1R6tCAyEGVOmOp/DPNeUyR8vCkW"
    ),
    "hmacWithSHA224": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAicMo2EG4gsWwICCAAwDAYIKoZIhvcNAggF"
        "ADAdBglghkgBZQMEASoEEK7nxVe6c2NViGxo60l9saUEQIpphB2Kvd8NzCfJWJpwt7+mBdz68EroN4Ws"
        "JK8t69yC4IKEMUJzzlkTjgV7q1zJr+4gljFw0fKUc83+3lcB5GQ="
    ),
    "hmacWithSHA384": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhMwAourEZtTAICCAAwDAYIKoZIhvcNAgoF"
        "ADAdBglghkgBZQMEASoEENgcwUvKXnkOsdAN527Z4LMEQNFANOe3wZn7xh5tQ18v6Dl7s0V8SdOOOY1Y"
        "FtIaRd7c2NR1kWYSFFpZMkmBZ5DxQUQ68TrMR67a4obEpNN2Yw8="
    ),
    "hmacWithSHA512": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhU1yb3yKr7FwICCAAwDAYIKoZIhvcNAgsF"
        "ADAdBglghkgBZQMEASoEEFN3AH87ozx0sGVLiJM50a8EQHypMNvi+IcbX1uPMIsH9curK3Y/v8NlmR1t"
        "z3PPFIFq/Ti2lP7JvW6SUG5vKIso1FLA0TZtiMFCpBzzYigaxr0="
    ),
    "hmacWithSHA512-224": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhkFd99p9G+NQICCAAwDAYIKoZIhvcNAgwF"
        "ADAdBglghkgBZQMEASoEELU8EkiXZmXvPvN6e4MkwmcEQFDD8JLUBXnw1PI2DR/0+pL2Fn1Njnc0/0C1"
        "5CTX9DcwyNGKnHPuqQirtfdzswffX1hF5ejr2BwQDxjEPtDX/ow="
    ),
    "hmacWithSHA512-256": (
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg2Dg+mcCUD4gICCAAwDAYIKoZIhvcNAg0F"
        "ADAdBglghkgBZQMEASoEEPxZP2PSAzyZaak6v/uGfnMEQAWnziiu0vKby6x8kx2QE01M5Vm0+IxzFTjf"
        "7yobo6qfH4pNnuiztYFtThGUDrHxr9wrj9ZOqf606qGeThG661M="
    ),
    "scrypt": (
        "MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAh32FH7HUd7YgICQAACAQgCAQEwHQYJYIZI"
        "AWUDBAEqBBBAMhWoULp6iT4muFUqeUzcBEC50j08p4MORFjoP6boriJ7E7h8W2E4rM/VhD/OogZUSXx+"
        "SD64YOoTmpyhGmXYzlfElYYFUmis/guB9PLd6Bj3"
    ),
}
TRADITIONAL = {
    "DES-CBC,39644B8211EFEEAC": (
        "ItQ9e+KSGHPIeUYko8Ki8EUDQnx35Jw9QqikFVFlBqTTyvno7i7YzDfFO7Xe/nnEPeSK45NVHWMHDBDY"
        "HRWhSOT5SYm8ShUwZCV0gsdIg/jR4bt1cXT0GEJWLUA3WmrelMUZwPMPM6l7aVhwN6ut9I1w9uadUpxm"
        "cL3hjqc6VA8="
    ),
    "DES-EDE3-CBC,92927B4B1EEA79E4": (
        "WzB3Q+BCTDZs+Pc4vhA23tX5g/ujZie5PVE59MITK0F4qn7EeD3ND/yRSWb/qAjJd6hjBDBnXpzhSWIi"
        "f1FTmZ2XTW2gsGgEIhKJoxB0S4WSdZaS6Ii7+iDJHOoRQKLPTcDlk+DHARD4UdH6AwXlyFKtLNzCnl/A"
        "y6yC8FC7fKA="
    ),
    "AES-128-CBC,FE70DD3A7C02052B4B3E9C72C5F5D8F2": (
        "i5FuD7XYggfBIHaJBmu73wlmCANb4VTvCNPbTz1U2L2zXvhS+AyGt1DkLJDBWv2kBC9jYKFz9HX2ppOv"
        "+GBqsVludktxMx/Pj7zG7CgDYRmuNkl+fmFAeQ3ouqmX0Tn+65jJMl+DXjFliZ9fvSI2mmzqS/+4ifpZ"
        "0NWxKRfBEd0="
    ),
    "AES-192-CBC,877BBA49A859049DF233E847D8558449": (
        "niBHk1I35CFzC4/AFAqarV2w17g/nXxZ33wAAyXf3fk2fmtpz+HGSpkJ6BYY9E/0iJAvFB6petZXEfzw"
        "qtxLXSA+yPty3vkYhR8fHSqYxYlfeNS9DmgaLhpQKRpzt1fV3Wyfri11byD+X3pbsntS8f+ukIiCmjNC"
        "7CqGdVnSu1M="
    ),
    "AES-256-CBC,EE3EE8E3BC6FAB1C67A178FD7ABCC84D": (
        "flZ3nJb9wb+I2BXao+HAHyGjl8TJ62ad0w6LbZqhAoFUCgqrUHdD00C9AhWCKrEEpVSqoy9siEJAvHk+"
        "oxWT47vN5qKtTEgGvBYgZkl/O/524imyPHEv+9f0zFmAsNJkG8D/GeGLKsFs6NExsF2h2onuh1jEGU13"
        "3BsOL0HDoS4="
    ),
    "CAMELLIA-256-CBC,9D910906BDADDAB2069B4D2701B4E656": (
        "tQRKcEijrPitXVmLAuA/yBMtHb4+bPhDlXxdJ1BvhYQz8JAtqAKM+9DB5xc9hvfo3CNQwjZR9HUtK1+K"
        "7yPQDCw3EsCZy+7Lxc9GPNka4lCZsdtd/4ux9TlRy3YJHKMY10UXrvrDnu2MaVVP4+44yyTKLAnk+ZTK"
        "raauorqlq6k="
    ),
    "SEED-CBC,1EEF81ABAE1B69EDFBCA5FE5DF5C030B": (
        "tlaQ2emxRSHqnHylga7wk1Fq4v+X3KiPs9NikhiQVFuIBZEmBRu3jZIUnMJxlcZ6Q8x/++WKeWMAH8rP"
        "h4Qu8yBm9j+p9rsUtyOW9WYhevF6Z2f/fBKYb8SSjSSCDg89TywCjCYYATEthw+cbkRQnb4Ct4BBypJH"
        "VyX4jEVkbcY="
    ),
}
LEGACY = ("PBE-", "des", "rc2")


def read(content: str, passphrase: str | None) -> CertificateMaterial:
    return read_certificate(content, None, passphrase, "key", NOW)


def reason(content: str, passphrase: str | None) -> str | None:
    with pytest.raises(CertificateRefused) as caught:
        read(content, passphrase)
    return caught.value.reason


@pytest.mark.parametrize("method", SAMPLES)
def test_keys_under_every_method_of_openssl_are_opened(method: str) -> None:
    material = read(SAMPLES[method], "open sesame")
    assert material.normal_form.decode().splitlines()[1] == PLAIN
    codes = {warning.code for warning in material.metadata.warnings}
    assert ("legacy_encryption" in codes) is method.startswith(LEGACY)


@pytest.mark.parametrize("method", SAMPLES)
def test_a_wrong_and_a_missing_passphrase_are_told_apart_under_every_method(method: str) -> None:
    assert reason(SAMPLES[method], "close sesame") == "wrong_passphrase"
    assert reason(SAMPLES[method], None) == "passphrase_required"


def traditional(dek_info: str) -> str:
    return (
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        f"DEK-Info: {dek_info}\n\n{TRADITIONAL[dek_info]}\n-----END EC PRIVATE KEY-----\n"
    )


@pytest.mark.parametrize("dek_info", TRADITIONAL)
def test_traditional_keys_under_every_cipher_of_openssl_are_opened(dek_info: str) -> None:
    content = traditional(dek_info)
    material = read(content, "open sesame")
    assert (material.metadata.key_algorithm, material.metadata.key_size) == ("EC", 256)
    assert [warning.code for warning in material.metadata.warnings] == ["legacy_encryption"]
    assert reason(content, "close sesame") == "wrong_passphrase"
    assert reason(content, None) == "passphrase_required"
    assert reason(content.replace(dek_info, dek_info[:-2]), "open sesame") == "invalid_private_key"
